# What would last week's traffic have cost with these policies?
data "farmhand_simulation" "last_week" {
  role = { min = 2, max = 20 }
  policies = [
    { metric = { load_average = {} }, target = 1.4 },
  ]
  trace  = { path = "${path.module}/last-week.csv" } # time,demand
  server = { capacity = 40, boot_time = "2m" }       # one server takes 40 requests a second
}

check "the_policies_hold_on_last_weeks_traffic" {
  assert {
    condition     = data.farmhand_simulation.last_week.minutes_far_above_target <= 10
    error_message = "Web servers would have been far above their target for ${data.farmhand_simulation.last_week.minutes_far_above_target} minutes."
  }
  assert {
    condition     = data.farmhand_simulation.last_week.instance_hours <= 900
    error_message = "Last week would have taken ${data.farmhand_simulation.last_week.instance_hours} instance-hours."
  }
}
