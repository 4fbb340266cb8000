# Every field that a log-based metric's file may use, by its name in the API.
resource "google_logging_metric" "log_metrics" {
  for_each = local._log_metric_files

  project          = var.project
  name             = try(local._log_metrics[each.key].name, null)
  bucket_name      = try(local._log_metrics[each.key].bucketName, null)
  description      = try(local._log_metrics[each.key].description, null)
  disabled         = try(local._log_metrics[each.key].disabled, null)
  filter           = try(trimspace(local._log_metrics[each.key].filter), null)
  label_extractors = try(local._log_metrics[each.key].labelExtractors, null)
  value_extractor  = try(local._log_metrics[each.key].valueExtractor, null)

  dynamic "bucket_options" {
    for_each = try([local._log_metrics[each.key].bucketOptions], [])
    iterator = options
    content {
      dynamic "explicit_buckets" {
        for_each = try([options.value.explicitBuckets], [])
        iterator = explicit
        content {
          bounds = try(explicit.value.bounds, null)
        }
      }

      dynamic "exponential_buckets" {
        for_each = try([options.value.exponentialBuckets], [])
        iterator = exponential
        content {
          growth_factor      = try(exponential.value.growthFactor, null)
          num_finite_buckets = try(exponential.value.numFiniteBuckets, null)
          scale              = try(exponential.value.scale, null)
        }
      }

      dynamic "linear_buckets" {
        for_each = try([options.value.linearBuckets], [])
        iterator = linear
        content {
          num_finite_buckets = try(linear.value.numFiniteBuckets, null)
          offset             = try(linear.value.offset, null)
          width              = try(linear.value.width, null)
        }
      }
    }
  }

  dynamic "metric_descriptor" {
    for_each = try([local._log_metrics[each.key].metricDescriptor], [])
    iterator = descriptor
    content {
      display_name = try(descriptor.value.displayName, null)
      metric_kind  = try(descriptor.value.metricKind, null)
      unit         = try(descriptor.value.unit, null)
      value_type   = try(descriptor.value.valueType, null)

      dynamic "labels" {
        for_each = try(descriptor.value.labels, [])
        content {
          description = try(labels.value.description, null)
          key         = try(labels.value.key, null)
          value_type  = try(labels.value.valueType, null)
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local._log_metric_faults[each.key]) == 0
      error_message = "log_metrics/${basename(each.value)}: ${join("; ", local._log_metric_faults[each.key])}."
    }
  }
}
