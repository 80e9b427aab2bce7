#!/bin/bash
# `make demo-destroy`: ends the demo's farm, its network, its volumes and the sidecar.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lib.sh

state=examples/lamp/terraform.tfstate
[ -f "$state" ] || die "demo-destroy: there is no demo farm here ($state does not exist)"
cli=$(find_cli) || die "demo-destroy: neither terraform nor tofu is here: run scripts/setup.sh"
[ -x bin/terraform-provider-farmhand ] || make -s build
use_built_provider

platform=$(cat bin/demo.platform 2>/dev/null || echo docker)
"$cli" -chdir=examples/lamp destroy -auto-approve -input=false -compact-warnings -var "platform=$platform"
rm -f "$state" "$state.backup" bin/demo.platform
say "demo-destroy: the farm is gone"
