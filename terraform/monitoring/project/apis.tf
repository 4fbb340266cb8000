resource "google_project_service" "apis" {
  for_each = var.apis

  project = var.project
  service = each.value
  # Other services of the project use them too.
  disable_on_destroy = false
}
