#!/bin/sh
# Writes the registry's pages from the provider's schema, templates/ and examples/. Needs terraform or tofu, no network.
# Usage: tools/docs.sh [check]; check writes nothing, and fails if a page is not what would be written.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib.sh

cli=$(find_cli) || die "generate: neither terraform nor tofu is on the PATH: one of them is asked for the provider's schema"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The schema comes from the provider itself by way of an override: no init, no registry, no lock file.
go build -o "$work/terraform-provider-farmhand" .
cat >"$work/cli.rc" <<-RC
	provider_installation {
	  dev_overrides {
	    "farmhand/farmhand" = "$work"
	  }
	  direct {}
	}
	disable_checkpoint = true
RC
cat >"$work/main.tf" <<-HCL
	terraform {
	  required_providers {
	    farmhand = { source = "farmhand/farmhand" }
	  }
	}
HCL
(cd "$work" && TF_CLI_CONFIG_FILE="$work/cli.rc" "$cli" providers schema -json) |
	sed -E 's#registry\.(terraform\.io|opentofu\.org)/farmhand/farmhand#farmhand#' >"$work/schema.json"

docs() {
	(cd tools && go tool tfplugindocs "$@" --provider-dir "$tree" --provider-name farmhand --providers-schema "$work/schema.json") >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		die "generate: tfplugindocs $1 failed"
	}
}
tree=$PWD
if [ "${1:-}" = check ]; then
	tree=$work/tree
	mkdir "$tree"
	cp -R docs examples templates "$tree"
fi
# It clears what it writes, and nothing else under docs/.
docs generate --rendered-provider-name Farmhand
docs validate
if [ "$tree" = "$PWD" ]; then
	say "generate: docs/index.md, docs/guides, docs/resources and docs/data-sources are written"
else
	diff -ru docs "$tree/docs" || die "generate: the pages above are to change: edit templates/ (guides, too), examples/ or the schema, then make generate"
fi
