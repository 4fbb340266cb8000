terraform {
  # 1.11 has write-only arguments, 7.19 has them for these secrets.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.19, < 9"
    }
  }
}
