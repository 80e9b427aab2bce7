# As many servers as keep the load average at 1.5 each.
resource "farmhand_scaling_policy" "load" {
  role     = farmhand_role.web.id
  metric   = { load_average = { minutes = 1 } }
  target   = 1.5
  cooldown = "5m"
}

# In bands.
resource "farmhand_scaling_policy" "cpu" {
  role   = farmhand_role.web.id
  metric = { cpu = {}, window = "30s" }
  step = [
    { to = 0.2, add = -1 },
    { from = 0.2, to = 0.7, add = 0 },
    { from = 0.7, to = 0.9, add = 1 },
    { from = 0.9, add = 3 },
  ]
}

# At least four on working days from eight to six.
resource "farmhand_scaling_policy" "office_hours" {
  role     = farmhand_role.web.id
  name     = "office-hours"
  schedule = { cron = "0 8 * * 1-5", zone = "Europe/Berlin", duration = "10h", min = 4 }
}
