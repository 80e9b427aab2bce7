output "url" {
  description = "The balancer's page."
  value       = "http://${farmhand_role.lb.address}/"
}

output "nameserver" {
  description = "address:port of the farm's DNS."
  value       = farmhand_farm.shop.nameserver
}
