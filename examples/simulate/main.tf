# A module's scaling policy, tried out on traffic before it runs: `terraform test` here fails when the policy is made
# worse. The same policy goes into farmhand_scaling_policy where the module makes its role.

terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}

locals {
  role = { min = var.min, max = var.max, drain = "10s" }
  policies = [
    {
      metric    = { load_average = { minutes = 1 } }
      target    = var.target
      cooldown  = var.cooldown
      tolerance = var.tolerance
    },
  ]
  # What one server is like. Of the traffic it takes 40 requests a second, both its cores are then busy.
  server = { cores = 2, capacity = 40, boot_time = "90s", boot_jitter = 0.1, noise = 0.02 }
}

# Monday's traffic, one row a minute, as it was exported.
data "farmhand_simulation" "monday" {
  role     = local.role
  policies = local.policies
  server   = local.server
  trace    = { path = "${path.module}/monday.csv" }
}

# And what has not come yet: a link goes round, five times the usual traffic within three minutes.
data "farmhand_simulation" "crowd" {
  role     = local.role
  policies = local.policies
  server   = local.server
  shape    = { kind = "flash-crowd", length = "48h", low = 40, high = 400, noise = 0.05 }
}

# Said at every plan of whoever uses the module; it stops nothing.
check "monday" {
  assert {
    condition     = data.farmhand_simulation.monday.minutes_far_above_target <= var.minutes_allowed
    error_message = "On Monday's traffic the servers would be more than a tenth above their target for ${data.farmhand_simulation.monday.minutes_far_above_target} minutes, not ${var.minutes_allowed} at most."
  }
}
