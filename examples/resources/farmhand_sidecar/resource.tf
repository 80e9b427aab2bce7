# On the machine that applies.
resource "farmhand_sidecar" "here" {
  local = {}
}

# On EC2: two instances that stand in for each other, and that nothing can connect to.
resource "farmhand_sidecar" "main" {
  aws = {
    name       = "main"
    subnet_ids = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    ami        = "ami-0123456789abcdef0"
    size       = 2
  }
}
