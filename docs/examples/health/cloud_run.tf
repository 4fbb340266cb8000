resource "google_cloud_run_v2_service" "shop" {
  name     = "shop"
  location = "europe-west1"

  template {
    containers {
      image = "europe-docker.pkg.dev/PROJECT/shop/shop"

      startup_probe {
        http_get {
          path = "/health/startup"
        }
        period_seconds    = 3
        timeout_seconds   = 3
        failure_threshold = 40
      }

      liveness_probe {
        http_get {
          path = "/health/live"
        }
        period_seconds    = 10
        timeout_seconds   = 3
        failure_threshold = 3
      }
    }
  }
}
