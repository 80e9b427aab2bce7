# The LAMP farm of examples/lamp on EC2: an ALB in front of Apache and PHP, with MariaDB and memcached behind.

terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}

provider "farmhand" {
  region = var.region
  store  = { table = var.table }
}

# The daemon that keeps the farm as it is declared here, on an instance of its own that nothing can connect to.
resource "farmhand_sidecar" "here" {
  aws = {
    name          = var.farm
    subnet_ids    = var.subnet_ids
    ami           = var.sidecar_ami
    instance_type = var.sidecar_type
    size          = var.sidecar_size
  }
}

resource "farmhand_farm" "shop" {
  name    = var.farm
  sidecar = farmhand_sidecar.here.id
  zone    = var.zone
  aws = {
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
    ami                = var.ami
    instance_types     = var.instance_types
    hosted_zone_id     = var.hosted_zone_id
  }
}

resource "farmhand_application" "site" {
  name   = "${var.farm}-site"
  source = coalesce(var.site, "${path.module}/../lamp/site")
}

resource "farmhand_role" "web" {
  farm         = farmhand_farm.shop.name
  name         = "web"
  behavior     = "apache"
  min          = 2
  max          = 6
  application  = farmhand_application.site.id
  uses         = concat(farmhand_role.mysql[*].id, [farmhand_role.memcached.id]) # addresses and passwords reach PHP's environment
  environment  = var.database == null ? {} : { DB_HOST = var.database.host, DB_NAME = var.database.name, DB_USER = var.database.user }
  mysql_proxy  = var.database == null ? {} : null # 127.0.0.1 leads to the primary, whichever that is
  settings     = { max_workers = "40" }           # requests that one server answers at once
  health_check = { http = { path = "/healthz" }, interval = "2s", unhealthy_after = 2, grace = "30s" }

  aws = {
    target_group_arns = var.target_group_arns # the ALB's: serving servers are registered, draining ones leave first
    on_demand_base    = 2
    spot              = 50 # of a hundred servers above two; on demand where Spot has none
  }
}

# Servers of its own, or none where RDS is named.
resource "farmhand_role" "mysql" {
  count    = var.database == null ? 1 : 0
  farm     = farmhand_farm.shop.name
  name     = "mysql"
  behavior = "mysql"
  min      = 3
  max      = 3
  volume   = { size_gb = 20, on_destroy = "keep" } # an EBS volume for each, that outlives its server
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
  role   = farmhand_role.web.id
  metric = { load_average = { minutes = 1 } }
  target = 1.5
}

# db.shop.internal, wherever the database runs.
resource "farmhand_dynamic_dns_record" "db" {
  count     = var.database == null ? 1 : 0
  farm      = farmhand_farm.shop.name
  name      = "db"
  role      = farmhand_role.mysql[0].id
  points_to = "primary"
  ttl       = "5s"
}
