terraform {
  required_providers {
    farmhand = { source = "farmhand/farmhand" }
  }
}

provider "farmhand" {} # the store is a file in ~/.local/state/farmhand

resource "farmhand_sidecar" "here" {
  local = {}
}

resource "farmhand_farm" "shop" {
  name    = "shop"
  sidecar = farmhand_sidecar.here.id
  zone    = "shop.internal"
  docker  = { subnet = "10.99.0.0/24" }
}

resource "farmhand_role" "web" {
  farm     = farmhand_farm.shop.name
  name     = "web"
  behavior = "apache"
  min      = 2
  max      = 6
}

resource "farmhand_scaling_policy" "web" {
  role   = farmhand_role.web.id
  metric = { load_average = { minutes = 1 } }
  target = 1.5
}
