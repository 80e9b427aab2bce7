# Each server is a container on this machine.
resource "farmhand_farm" "shop" {
  name    = "shop"
  sidecar = farmhand_sidecar.here.id
  zone    = "shop.internal"
  docker  = { subnet = "10.99.0.0/24" }
}

# No server is real, all decisions are: for tests of modules.
resource "farmhand_farm" "rehearsal" {
  name      = "rehearsal"
  sidecar   = farmhand_sidecar.here.id
  zone      = "rehearsal.internal"
  simulated = { boot_time = "2s", fail_launches = 0.1, seed = 7 }
}
