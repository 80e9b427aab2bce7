variable "farm" {
  description = "The farm's name."
  type        = string
  default     = "jobs"
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
  description = "Security groups of the workers. They need no inbound rule."
  type        = set(string)
}

variable "ami" {
  description = "Debian 12 with what the workers run, of the architecture of instance_types."
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
  default     = ["c7g.large", "c6g.large", "m7g.large"]
}

variable "queue_url" {
  description = "URL of the SQS queue."
  type        = string
}
