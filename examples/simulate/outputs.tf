output "monday" {
  description = "What the policy does on Monday's traffic."
  value = {
    instance_hours           = data.farmhand_simulation.monday.instance_hours
    minutes_above_target     = data.farmhand_simulation.monday.minutes_above_target
    minutes_far_above_target = data.farmhand_simulation.monday.minutes_far_above_target
    requests_over_capacity   = data.farmhand_simulation.monday.requests_over_capacity
    reversals                = data.farmhand_simulation.monday.reversals
    peak                     = data.farmhand_simulation.monday.peak
  }
}

output "crowd" {
  description = "What it does when a link goes round."
  value = {
    instance_hours           = data.farmhand_simulation.crowd.instance_hours
    minutes_above_target     = data.farmhand_simulation.crowd.minutes_above_target
    minutes_far_above_target = data.farmhand_simulation.crowd.minutes_far_above_target
    over_capacity            = data.farmhand_simulation.crowd.over_capacity
    reversals_per_hour       = data.farmhand_simulation.crowd.reversals_per_hour
    peak                     = data.farmhand_simulation.crowd.peak
  }
}
