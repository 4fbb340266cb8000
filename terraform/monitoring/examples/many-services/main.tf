# Several services and environments in one project: one module each, one set of channels, one list of routes.

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.31, < 9"
    }
  }
}

variable "project" {
  description = "Id of the project."
  type        = string
}

variable "services" {
  description = "Services by name: environment, host, thresholds of their own."
  type = map(object({
    environment = optional(string, "production")
    host        = string
    thresholds  = optional(map(map(number)), {})
  }))
  default = {
    items  = { host = "items.example.com" }
    orders = { host = "orders.example.com", thresholds = { high_error_rate = { ratio = 0.02 } } }
  }
}

provider "google" {
  project = var.project
}

resource "google_monitoring_notification_channel" "mail" {
  for_each = toset(["payments", "platform"])

  project      = var.project
  display_name = each.value
  type         = "email"
  labels       = { email_address = "${each.value}@example.com" }

  lifecycle {
    create_before_destroy = true
  }
}

module "monitoring" {
  source   = "../.."
  for_each = var.services

  environment = each.value.environment
  host        = each.value.host
  location    = "europe-west1"
  project     = var.project
  routes = {
    p4 = { default = [] }
    default = {
      default  = [google_monitoring_notification_channel.mail["platform"].name]
      payments = [google_monitoring_notification_channel.mail["payments"].name]
    }
  }
  runbook_base_url = "https://example.com/runbooks"
  service          = each.key
  thresholds       = each.value.thresholds
}
