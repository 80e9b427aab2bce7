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

# Two more when the CPUs have been busy for two minutes without a break.
resource "farmhand_scaling_policy" "busy" {
  role      = farmhand_role.web.id
  name      = "busy"
  metric    = { cpu = {} }
  threshold = { upper = 0.9, period = "30s", breach_duration = "2m", upper_increment = 2 }
}

# Fifty jobs to each worker, none while there are none, and each lives for at least 45 minutes.
resource "farmhand_scaling_policy" "jobs" {
  role   = farmhand_role.worker.id
  metric = { http = { url = "http://jobs.example.com/waiting" } }
  queue  = { backlog = 50, minimum_lifetime = "45m" }
}

# Exactly two in the nights of the weekend.
resource "farmhand_scaling_policy" "weekend" {
  role     = farmhand_role.worker.id
  schedule = { days = ["fri", "sat"], from = "22:00", to = "06:00", zone = "Europe/Berlin", exact = 2 }
}

# Ready for what this time of the week usually brings; and at most two fewer a minute.
resource "farmhand_scaling_policy" "ahead" {
  role     = farmhand_role.web.id
  metric   = { load_average = {} }
  forecast = { target = 1.5, zone = "Europe/Berlin" }
  scale_in = { at_most = 2, per = "1m" }
}

# Answers within 400 ms for all but one request in a hundred, as the balancer sees them.
resource "farmhand_scaling_policy" "slow" {
  role   = farmhand_role.web.id
  metric = { response_time = {}, statistic = "p99", window = "30s" }
  target = 0.4
}

# A server for each thousand jobs that the database says are waiting.
resource "farmhand_scaling_policy" "backlog" {
  role   = farmhand_role.worker.id
  metric = { sql = { role = farmhand_role.mysql.id, query = "SELECT COUNT(*) FROM jobs WHERE done = 0" } }
  queue  = { backlog = 1000 }
}
