resource "google_logging_project_bucket_config" "buckets" {
  for_each = local._log_buckets

  project        = var.project
  bucket_id      = each.key
  description    = coalesce(each.value.description, "Kept for ${each.value.retention_days} days.")
  location       = each.value.location
  locked         = each.value.locked ? true : null
  retention_days = each.value.retention_days
  # Whoever removes the module does not mean to remove the logs.
  deletion_policy = "ABANDON"

  dynamic "cmek_settings" {
    for_each = each.value.kms_key == null ? [] : [each.value.kms_key]
    iterator = key
    content {
      kms_key_name = key.value
    }
  }

  depends_on = [google_project_service.apis]
}
