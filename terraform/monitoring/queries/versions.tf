terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source = "hashicorp/google"
      # The resource is younger than what the main module asks for.
      version = ">= 7.32, < 9"
    }
  }
}
