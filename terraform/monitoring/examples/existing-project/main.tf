# A project that has monitoring already: its channels, its uptime check and its Monitoring service are taken as they
# are, its own alert file stands beside ours, and one of ours is replaced. `cloudops adopt` writes the import blocks.

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

provider "google" {
  project = var.project
}

module "monitoring" {
  source = "../.."

  directories      = ["${path.module}/monitoring"]
  environment      = "production"
  host             = "items.example.com"
  location         = "europe-west1"
  policies         = ["default", "-ddos_attempt"]
  project          = var.project
  routes           = { default = { default = ["projects/${var.project}/notificationChannels/1234567890"] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
  slo_service      = "projects/${var.project}/services/items-existing"
  uptime_checks    = { existing = { public = "items-public-a1b2c3" } }
}
