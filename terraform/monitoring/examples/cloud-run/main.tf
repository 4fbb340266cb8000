# One service on Cloud Run, one mailbox. `terraform apply -var project=... -var project_number=... -var mail=...`

terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.31, < 9"
    }
  }
}

variable "mail" {
  description = "Address that is told about incidents."
  type        = string
}

variable "project" {
  description = "Id of the project."
  type        = string
}

variable "project_number" {
  description = "Number of the project; Cloud Run makes the service's address of it."
  type        = string
}

locals {
  location = "europe-west1"
  service  = "items"
}

provider "google" {
  project = var.project
}

resource "google_monitoring_notification_channel" "mail" {
  display_name = "On-call mailbox"
  type         = "email"
  labels       = { email_address = var.mail }
}

module "monitoring" {
  source = "../.."

  environment      = "production"
  host             = "${local.service}-${var.project_number}.${local.location}.run.app"
  location         = local.location
  project          = var.project
  routes           = { default = { default = [google_monitoring_notification_channel.mail.name] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = local.service
}

output "alert_policies" {
  description = "Names of the alert policies."
  value       = module.monitoring.alert_policies
}
