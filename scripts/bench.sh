#!/bin/sh
# `make bench`: measures, prints the table and writes docs/benchmarks.md. With the word mysql it is `make bench-mysql`.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
FARMHAND_E2E_CLI=$(find_cli) || { scripts/setup.sh && FARMHAND_E2E_CLI=$(find_cli); }
export FARMHAND_E2E_CLI
if [ "${1:-}" = mysql ]; then
	shift
	exec go run ./internal/bench/mysql "$@"
fi
exec go run ./internal/bench "$@"
