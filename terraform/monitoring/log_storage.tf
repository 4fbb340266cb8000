# Where the service's log entries go. Without `var.logs` nothing of this exists: `_Default` keeps entries for 30 days.

locals {
  _name = "${var.service}-${var.environment}"

  # What the service itself and its platform write about it.
  _log_filter = coalesce(local._logs.filter, local._resource_filters[{ cloud_run = "run", gke = "container" }[var.platform]])

  _own_bucket = local._logs.bucket != null && try(local._logs.bucket.id, null) == null
  _log_bucket = local._logs.bucket == null ? null : coalesce(
    local._logs.bucket.id,
    "projects/${var.project}/locations/${local._logs.bucket.location}/buckets/${local._name}",
  )

  # What is not kept at all.
  _dropped = merge(
    local._logs.debug_kept == 1 ? {} : {
      debug = {
        description = "${(1 - local._logs.debug_kept) * 100} % of the DEBUG entries of ${local._name}."
        filter      = "severity<=DEBUG severity!=DEFAULT sample(insertId, ${1 - local._logs.debug_kept})"
      }
    },
    local._logs.requests_below_400 ? {} : {
      requests = {
        description = "The platform's own request logs of ${local._name} below status 400."
        filter      = "${var.platform == "cloud_run" ? "log_id(\"run.googleapis.com/requests\")" : "log_id(\"requests\")"} httpRequest.status<400"
      }
    },
  )

  # What `_Default` leaves out: everything, where the service has a bucket of its own, so that each entry lies in one.
  _left_out = local._logs.bucket != null ? {
    bucket = { description = "Kept in ${local._log_bucket}.", filter = local._log_filter }
    } : {
    for key, drop in local._dropped : key => { description = drop.description, filter = "${local._log_filter} ${drop.filter}" }
  }
}

resource "google_logging_project_bucket_config" "logs" {
  count = local._own_bucket ? 1 : 0

  project          = var.project
  bucket_id        = local._name
  description      = "Logs of ${local._name}."
  enable_analytics = local._logs.bucket.analytics ? true : null
  location         = local._logs.bucket.location
  retention_days   = local._logs.bucket.retention_days

  dynamic "cmek_settings" {
    for_each = local._logs.bucket.kms_key == null ? [] : [local._logs.bucket.kms_key]
    iterator = key
    content {
      kms_key_name = key.value
    }
  }
}

resource "google_logging_project_sink" "logs" {
  count = local._logs.bucket == null ? 0 : 1

  project                = var.project
  name                   = "${local._name}-logs"
  description            = "Logs of ${local._name} into their bucket."
  destination            = "logging.googleapis.com/${local._own_bucket ? google_logging_project_bucket_config.logs[0].id : local._log_bucket}"
  filter                 = local._log_filter
  unique_writer_identity = true

  dynamic "exclusions" {
    for_each = local._dropped
    content {
      description = exclusions.value.description
      filter      = exclusions.value.filter
      name        = exclusions.key
    }
  }
}

resource "google_logging_project_exclusion" "default" {
  for_each = local._left_out

  project     = var.project
  name        = "${local._name}-${each.key}"
  description = each.value.description
  filter      = each.value.filter

  # Entries leave `_Default` only once they arrive elsewhere.
  depends_on = [google_logging_project_sink.logs]
}

resource "google_logging_project_sink" "archive" {
  count = local._logs.archive == null ? 0 : 1

  project                = var.project
  name                   = "${local._name}-archive"
  description            = "A copy of all logs of ${local._name}."
  destination            = local._logs.archive.destination
  filter                 = local._log_filter
  unique_writer_identity = true
}

check "error_reporting" {
  assert {
    condition     = try(local._logs.bucket.kms_key, null) == null
    error_message = "logs.bucket.kms_key: Error Reporting does not read log buckets with a key of your own, so errors of ${local._name} will not be grouped there. Leave kms_key out, or use the policy error_logged instead of Error Reporting."
  }
}
