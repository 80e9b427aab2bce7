# A LAMP farm: HAProxy in front of Apache and PHP, with MariaDB and memcached behind.

terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}

provider "farmhand" {}

# The daemon that keeps the farm as it is declared here, on this machine.
resource "farmhand_sidecar" "here" {
  local = {}
}

resource "farmhand_farm" "shop" {
  name      = var.farm
  sidecar   = farmhand_sidecar.here.id
  zone      = "${var.farm}.internal"
  docker    = var.platform == "docker" ? { subnet = var.subnet } : null
  simulated = var.platform == "simulated" ? { subnet = var.subnet } : null
}

resource "farmhand_application" "site" {
  name   = "${var.farm}-site"
  source = "${path.module}/site"
}

resource "farmhand_role" "lb" {
  farm     = farmhand_farm.shop.name
  name     = "lb"
  behavior = "haproxy"
  min      = 1
  max      = 1
  uses     = [farmhand_role.web.id] # the servers it balances over
}

resource "farmhand_role" "web" {
  farm         = farmhand_farm.shop.name
  name         = "web"
  behavior     = "apache"
  min          = 2
  max          = 6
  application  = farmhand_application.site.id
  uses         = [farmhand_role.mysql.id, farmhand_role.memcached.id] # addresses and passwords reach PHP's environment
  settings     = { max_workers = "40" }                               # requests that one server answers at once
  health_check = { http = { path = "/healthz" }, interval = "2s", unhealthy_after = 2, grace = "30s" }

  reversals_per_hour = 20 # growing and shrinking again, as often as one cares to watch; the default is 2
}

resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.shop.name
  name     = "mysql"
  behavior = "mysql"
  min      = 1
  max      = 1
  volume   = { on_destroy = "delete" } # this is a demo: its data may go with it
}

resource "farmhand_role" "memcached" {
  farm     = farmhand_farm.shop.name
  name     = "memcached"
  behavior = "memcached"
  min      = 1
  max      = 1
}

# More web servers while their mean load is above the target, fewer while it stays below.
resource "farmhand_scaling_policy" "web_load" {
  role     = farmhand_role.web.id
  metric   = { load_average = { minutes = 1 }, window = "5s" }
  target   = 1.5
  cooldown = "20s" # window and cooldown are short, for watching: the defaults are 7 s and 5 min
}

# db.shop.internal, wherever the database runs.
resource "farmhand_dynamic_dns_record" "db" {
  farm      = farmhand_farm.shop.name
  name      = "db"
  role      = farmhand_role.mysql.id
  points_to = "primary"
  ttl       = "5s"
}
