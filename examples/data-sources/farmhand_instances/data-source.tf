data "farmhand_instances" "web" {
  farm = "shop"
  role = "web"
}

output "addresses" {
  value = [for i in data.farmhand_instances.web.instances : i.address if i.serving]
}
