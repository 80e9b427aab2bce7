variable "farm" {
  description = "The farm's name."
  type        = string
  default     = "shop"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-west-1"
}

variable "table" {
  description = "DynamoDB table of the store. It is made if it is not there, with a bucket farmhand-<account>-<region> for releases."
  type        = string
  default     = "farmhand"
}

variable "subnet_ids" {
  description = "Private subnets of the VPC, best of several zones. They need a way to DynamoDB and S3: gateway endpoints, or NAT."
  type        = set(string)
}

variable "security_group_ids" {
  description = "Security groups of the servers: in from each other, and from the ALB on port 80."
  type        = set(string)
}

variable "ami" {
  description = "Debian 12, best with the packages of the behaviors in it, of the architecture of instance_types."
  type        = string
}

variable "sidecar_ami" {
  description = "Debian 12 as it comes, of the architecture of sidecar_type."
  type        = string
}

variable "sidecar_type" {
  description = "Instance type of the sidecar."
  type        = string
  default     = "t4g.nano"
}

variable "sidecar_size" {
  description = "Instances of the sidecar: 1, or 2 that stand in for each other."
  type        = number
  default     = 1
}

variable "instance_types" {
  description = "Instance types in order of preference."
  type        = list(string)
  default     = ["t4g.small", "t4g.medium"]
}

variable "target_group_arns" {
  description = "Target groups of the ALB: HTTP, port 80, health check /healthz."
  type        = set(string)
}

variable "zone" {
  description = "DNS zone of the farm's names."
  type        = string
  default     = "shop.internal"
}

variable "hosted_zone_id" {
  description = "Route 53 private zone of that name, where names are published. Default: the servers answer for it among themselves."
  type        = string
  default     = null
}

variable "site" {
  description = "Folder of the site. Default: that of examples/lamp."
  type        = string
  default     = null
}

variable "database" {
  description = "An RDS instance that is there, in place of MariaDB servers of the farm's own. Its password belongs into secret_environment_wo of the web role."
  type        = object({ host = string, name = string, user = string })
  default     = null
}
