# What the policy must hold to. Make it worse, and this fails: `terraform test -var target=1.9`, `-var cooldown=30m`.

run "on_mondays_traffic" {
  command = plan

  assert {
    condition     = data.farmhand_simulation.monday.minutes_far_above_target <= 45
    error_message = "The servers would be more than a tenth above their target for ${data.farmhand_simulation.monday.minutes_far_above_target} minutes of Monday; 45 were allowed."
  }
  assert {
    condition     = data.farmhand_simulation.monday.instance_hours <= 90
    error_message = "Monday would take ${data.farmhand_simulation.monday.instance_hours} instance-hours; 90 are paid for."
  }
  assert {
    condition     = data.farmhand_simulation.monday.reversals_per_hour <= 2
    error_message = "The number would turn round ${data.farmhand_simulation.monday.reversals_per_hour} times within an hour."
  }
  assert {
    condition     = data.farmhand_simulation.monday.requests_over_capacity == 0
    error_message = "${data.farmhand_simulation.monday.requests_over_capacity} requests would find no server with time for them."
  }
}

run "when_a_link_goes_round" {
  command = plan

  assert {
    condition     = data.farmhand_simulation.crowd.over_capacity <= 0.003
    error_message = "${100 * data.farmhand_simulation.crowd.over_capacity} % of the requests would find no server with time for them; 0.3 % were allowed."
  }
  assert {
    condition     = data.farmhand_simulation.crowd.instance_hours <= 265
    error_message = "Two days with a crowd would take ${data.farmhand_simulation.crowd.instance_hours} instance-hours; 265 are paid for."
  }
}

# An envelope too tight for Monday is noticed by the module's own check, too.
run "too_small_an_envelope_is_noticed" {
  command = plan

  variables {
    max = 4
  }

  expect_failures = [check.monday]
}
