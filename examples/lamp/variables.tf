variable "farm" {
  description = "The farm's name. Another name and subnet make a second farm beside the first."
  type        = string
  default     = "shop"
}

variable "subnet" {
  description = "The farm's own network."
  type        = string
  default     = "10.99.0.0/24"
}

variable "platform" {
  description = "Where servers come from: docker (each is a container), or simulated (none is real; all decisions are)."
  type        = string
  default     = "docker"

  validation {
    condition     = contains(["docker", "simulated"], var.platform)
    error_message = "The platform is \"docker\" or \"simulated\"."
  }
}
