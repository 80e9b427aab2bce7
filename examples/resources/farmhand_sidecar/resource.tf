resource "farmhand_sidecar" "here" {
  local = {}
}
