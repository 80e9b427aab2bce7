# Workers of a queue on EC2: none while SQS is empty, as many as the backlog asks for otherwise.

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

resource "farmhand_farm" "jobs" {
  name    = var.farm
  sidecar = farmhand_sidecar.here.id
  zone    = "${var.farm}.internal"
  aws = {
    subnet_ids         = var.subnet_ids
    security_group_ids = var.security_group_ids
    ami                = var.ami
    instance_types     = var.instance_types
  }
}

resource "farmhand_role" "worker" {
  farm     = farmhand_farm.jobs.name
  name     = "worker"
  behavior = "base"
  min      = 0
  max      = 20

  boot_script   = file("${path.module}/boot.sh")
  shutdown_hook = file("${path.module}/idle.sh") # a worker in the middle of a job is not chosen to leave
  environment   = { QUEUE_URL = var.queue_url }
  aws           = { spot = 100 } # on demand where Spot has none
}

# A worker for each fifty messages that wait, none when none wait; each lives for at least 20 minutes.
resource "farmhand_scaling_policy" "backlog" {
  role   = farmhand_role.worker.id
  metric = { sqs = { queue_url = var.queue_url } }
  queue  = { backlog = 50, minimum_lifetime = "20m" }
}
