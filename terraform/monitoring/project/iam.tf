# What CI needs to apply the main module, and nothing else.

locals {
  _roles = {
    # Roles of the service and of Monitoring's own account.
    iam        = ["roles/resourcemanager.projectIamAdmin"]
    logs       = ["roles/logging.configWriter"]
    monitoring = ["roles/monitoring.editor"]
    plan       = ["roles/monitoring.viewer", "roles/logging.viewer", "roles/serviceusage.serviceUsageViewer"]
  }
  _grants = merge([
    for member, works in var.ci : {
      for role in distinct(flatten([for work in works : local._roles[work]])) : "${member} ${role}" => { member = member, role = role }
    }
  ]...)
}

resource "google_project_iam_member" "ci" {
  for_each = local._grants

  project = var.project
  role    = each.value.role
  member  = each.value.member
}
