# db.shop.internal, wherever the database runs.
resource "farmhand_dynamic_dns_record" "db" {
  farm      = farmhand_farm.shop.name
  name      = "db"
  role      = farmhand_role.mysql.id
  points_to = "primary"
  ttl       = "5s"
}

# canary.shop.internal is always web-1.
resource "farmhand_dynamic_dns_record" "canary" {
  farm      = farmhand_farm.shop.name
  name      = "canary"
  role      = farmhand_role.web.id
  points_to = "index"
  index     = 1
}
