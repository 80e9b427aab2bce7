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

"$cli" -chdir=examples/lamp destroy -state="$keep/terraform.tfstate" -var-file="$keep/demo.tfvars" -auto-approve -input=false -compact-warnings
rm -rf "$keep"
say "demo-destroy: the farm is gone"
