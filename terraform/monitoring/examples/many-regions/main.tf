# One private service in three regions: ratios are told apart by location, the uptime checks carry an identity token.

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

variable "project_number" {
  description = "Number of the project: Monitoring's own account gets the right to call the service."
  type        = string
}

provider "google" {
  project = var.project
}

module "monitoring" {
  source = "../.."

  channels         = { on-call = { sms = "+491701234567" }, tickets = { pubsub = "projects/${var.project}/topics/tickets" } }
  environment      = "production"
  host             = "items-${var.project_number}.europe-west1.run.app"
  location         = "europe-west1"
  project          = var.project
  project_number   = var.project_number
  regions          = ["asia-northeast1", "europe-west1", "us-central1"]
  routes           = { p1 = { default = ["on-call", "tickets"] }, default = { default = ["tickets"] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
  uptime_checks    = { access = "private", period = "60s", regions = ["ASIA_PACIFIC", "EUROPE", "USA"] }
}
