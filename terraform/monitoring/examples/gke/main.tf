# A service on GKE behind a load balancer, with its own log bucket, fewer debug entries and roles for its account.

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

  channels         = { on-call = { email = "on-call@example.com" } }
  environment      = "production"
  host             = "orders.example.com"
  iam              = { features = ["metrics", "telemetry"], service_account = "orders@${var.project}.iam.gserviceaccount.com" }
  location         = "europe-west1"
  logs             = { bucket = { retention_days = 90 }, debug_kept = 0.1, requests_below_400 = false }
  platform         = "gke"
  policies         = ["default", "high_error_rate_platform", "memory_pressure_platform", "throttling"]
  project          = var.project
  resources        = { kubernetes_namespace = "shop" }
  routes           = { default = { default = ["on-call"] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = "orders"
}
