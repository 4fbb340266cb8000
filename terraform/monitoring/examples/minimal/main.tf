# The least: what is on by default, and nobody is told. `terraform apply -var project=...`

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

  environment      = "production"
  host             = "items.example.com"
  location         = "europe-west1"
  project          = var.project
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
}
