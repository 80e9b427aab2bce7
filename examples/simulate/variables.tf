variable "min" {
  description = "Fewest web servers."
  type        = number
  default     = 2
}

variable "max" {
  description = "Most web servers."
  type        = number
  default     = 20
}

variable "target" {
  description = "Load average that a web server is kept at; both cores are busy at 2."
  type        = number
  default     = 1.2
}

variable "cooldown" {
  description = "How long fewer servers must have been enough before one goes."
  type        = string
  default     = "5m"
}

variable "tolerance" {
  description = "How far below the target is left alone, as a share of it."
  type        = number
  default     = 0.1
}

variable "minutes_allowed" {
  description = "Minutes of Monday that the servers may be more than a tenth above their target."
  type        = number
  default     = 45
}
