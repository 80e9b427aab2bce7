#!/bin/bash
# `make demo-destroy`: ends the demo's farm, its network, its volumes and, if it keeps no other farm, the sidecar.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

keep=$(state_dir)/demo
[ -f "$keep/terraform.tfstate" ] || die "demo-destroy: there is no demo farm ($keep/terraform.tfstate does not exist)"
cli=$(find_cli) || die "demo-destroy: neither terraform nor tofu is here: run scripts/setup.sh"
[ -x bin/terraform-provider-farmhand ] || make -s build
use_built_provider

colour=-no-color
[ ! -t 1 ] || [ -n "${NO_COLOR:-}" ] || colour=
# shellcheck disable=SC2086 # one flag or none
"$cli" -chdir=examples/lamp destroy -state="$keep/terraform.tfstate" -var-file="$keep/demo.tfvars" -auto-approve -input=false -compact-warnings $colour
rm -rf "$keep"
rmdir "$(state_dir)" 2>/dev/null || true # empty unless other farms are kept there
say "demo-destroy: the farm is gone"
