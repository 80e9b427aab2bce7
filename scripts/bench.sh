#!/bin/sh
# `make bench`: measures, prints the table and writes docs/benchmarks.md.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
FARMHAND_E2E_CLI=$(find_cli) || { scripts/setup.sh && FARMHAND_E2E_CLI=$(find_cli); }
export FARMHAND_E2E_CLI
exec go run ./internal/bench "$@"
