resource "farmhand_role" "lb" {
  farm     = farmhand_farm.shop.name
  name     = "lb"
  behavior = "haproxy"
  min      = 1
  max      = 1
  uses     = [farmhand_role.web.id] # the servers that it balances over
}

variable "api_key" {
  type      = string
  ephemeral = true
}

resource "farmhand_role" "web" {
  farm        = farmhand_farm.shop.name
  name        = "web"
  behavior    = "apache"
  min         = 2
  max         = 6
  application = farmhand_application.site.id
  uses        = [farmhand_role.mysql.id] # its address and password reach PHP's environment

  environment                   = { MODE = "live" }
  secret_environment_wo         = { API_KEY = var.api_key }
  secret_environment_wo_version = 1 # raise it with a new key

  health_check = { http = { path = "/healthz" }, interval = "2s", unhealthy_after = 2, grace = "30s" }
  timeouts     = { create = "5m", update = "20m" }
}

resource "farmhand_role" "mysql" {
  farm     = farmhand_farm.shop.name
  name     = "mysql"
  behavior = "mysql"
  min      = 1
  max      = 1
  settings = { memory_mb = "256" }
  volume   = { on_destroy = "keep" } # terraform destroy leaves the data
}
