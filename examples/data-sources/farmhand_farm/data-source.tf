data "farmhand_farm" "shop" {
  name = "shop"
}

output "why_so_many" {
  value = data.farmhand_farm.shop.roles["web"].reason
}
