terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source = "hashicorp/google"
      # 7.32 has deletion_policy: what holds data is left alone when this module goes.
      version = ">= 7.32, < 9"
    }
  }
}
