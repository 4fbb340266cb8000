resource "google_monitoring_dashboard" "dashboards" {
  for_each = local._dashboard_files

  project        = var.project
  dashboard_json = jsonencode(local._dashboards[each.key])

  lifecycle {
    precondition {
      condition     = length(local._dashboard_faults[each.key]) == 0
      error_message = "dashboards/${basename(each.value)}: ${join("; ", local._dashboard_faults[each.key])}."
    }
  }
}
