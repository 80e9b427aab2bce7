ephemeral "farmhand_database_credentials" "orders" {
  role = farmhand_role.mysql.id
}

# Another role is given them as one string, by a write-only attribute.
resource "farmhand_role" "reports" {
  farm     = farmhand_farm.shop.name
  name     = "reports"
  behavior = "base"
  min      = 1
  max      = 1

  secret_environment_wo = {
    DSN = "${ephemeral.farmhand_database_credentials.orders.user}:${ephemeral.farmhand_database_credentials.orders.password}@tcp(${ephemeral.farmhand_database_credentials.orders.host})/${ephemeral.farmhand_database_credentials.orders.database}"
  }
  secret_environment_wo_version = 1
}
