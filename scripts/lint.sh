#!/bin/sh
# Checks the style of Go, HCL and shell; the shell's where shellcheck is installed.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh
bad=false

# shellcheck disable=SC2046 # a list of files
unformatted=$(gofmt -l $(git ls-files '*.go'))
[ -z "$unformatted" ] || { warn "lint: not gofmt-ed: $unformatted"; bad=true; }
go vet ./... || bad=true

# Its first build takes minutes.
go tool -modfile=tools/lint/go.mod golangci-lint run || bad=true
if have shellcheck; then shellcheck -x scripts/*.sh .ci/run || bad=true; else say "lint: shellcheck is not installed; scripts unchecked"; fi
if cli=$(find_cli); then
	"$cli" fmt -check -recursive examples || { warn "lint: HCL above is not formatted: make fmt"; bad=true; }
fi
! $bad
