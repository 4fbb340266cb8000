# In the domains `custom` and `workload` a policy that names a metric is refused until the metric has a descriptor.

locals {
  _catalogue = merge(
    jsondecode(file("${path.module}/../../../backend/app/core/metrics/catalogue.json")).metrics,
    [for path in var.catalogues : jsondecode(file(path)).metrics]...
  )
  _descriptors = merge([
    for namespace in try(local._described.namespaces, []) : {
      for name, metric in local._catalogue : "${local._described.domain}.googleapis.com/${namespace}/${name}" => { metric = metric, name = name }
    }
  ]...)
}

resource "google_monitoring_metric_descriptor" "metrics" {
  for_each = local._descriptors

  project      = var.project
  type         = each.key
  display_name = each.value.name
  description  = each.value.metric.description
  metric_kind  = each.value.metric.kind == "gauge" ? "GAUGE" : "CUMULATIVE"
  value_type   = each.value.metric.kind == "histogram" ? "DISTRIBUTION" : "DOUBLE"
  unit         = each.value.metric.unit
  # Deleting a descriptor deletes its points.
  deletion_policy = "ABANDON"

  dynamic "labels" {
    for_each = each.value.metric.labels
    iterator = label
    content {
      key        = label.key
      value_type = "STRING"
    }
  }

  depends_on = [google_project_service.apis]
}
