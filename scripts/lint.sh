#!/bin/sh
# Checks the style of Go, HCL and shell (where shellcheck is installed), and that the registry's pages and their
# examples are those of the schema.
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
if have shellcheck; then shellcheck -x scripts/*.sh tools/*.sh images/*.sh .ci/run || bad=true; else say "lint: shellcheck is not installed; scripts unchecked"; fi
if cli=$(find_cli); then
	"$cli" fmt -check -recursive examples || { warn "lint: HCL above is not formatted: make fmt"; bad=true; }
	tools/docs.sh check || bad=true
fi

# Every page comes with an example, and a resource's with how to import it.
for page in docs/resources/*.md docs/data-sources/*.md; do
	name=farmhand_$(basename "$page" .md)
	case $page in
	docs/resources/*) needed="examples/resources/$name/resource.tf examples/resources/$name/import.sh" ;;
	*) needed=examples/data-sources/$name/data-source.tf ;;
	esac
	for file in $needed; do
		[ -s "$file" ] || { warn "lint: $page lacks $file"; bad=true; }
	done
done
! $bad
