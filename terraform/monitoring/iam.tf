# Who gets which role, and which API it needs: one row for each feature, and nothing else.

locals {
  _iam_table = {
    errors    = { roles = ["roles/errorreporting.writer"], apis = ["clouderrorreporting.googleapis.com"] }
    logs      = { roles = ["roles/logging.logWriter"], apis = ["logging.googleapis.com"] }
    metrics   = { roles = ["roles/monitoring.metricWriter"], apis = ["monitoring.googleapis.com"] }
    telemetry = { roles = ["roles/telemetry.tracesWriter", "roles/serviceusage.serviceUsageConsumer"], apis = ["telemetry.googleapis.com", "cloudtrace.googleapis.com"] }
    traces    = { roles = ["roles/cloudtrace.agent"], apis = ["cloudtrace.googleapis.com"] }
  }
  _service_roles = local._iam.service_account == null ? [] : distinct(flatten([for feature in local._iam.features : local._iam_table[feature].roles]))

  # Monitoring's own account: it calls private services, and publishes to topics.
  _monitoring_agent = "serviceAccount:service-${coalesce(var.project_number, "0")}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
  _invoked          = local._calls.access == "private" && var.platform == "cloud_run" && length(local._uptime_check_files) > 0
  _invoked_in       = length(var.regions) > 0 ? var.regions : [var.location]
  _topics           = { for key, channel in local._channel_settings : key => channel.pubsub if channel.pubsub != null && channel.grant_publisher }

  _apis = distinct(concat(
    ["monitoring.googleapis.com"],
    length(local._log_metric_files) > 0 || length(local._left_out) > 0 || local._logs.archive != null ? ["logging.googleapis.com"] : [],
    local._iam.service_account == null ? [] : flatten([for feature in local._iam.features : local._iam_table[feature].apis]),
    local._invoked ? ["run.googleapis.com"] : [],
    length(local._topics) > 0 ? ["pubsub.googleapis.com"] : [],
  ))
}

resource "google_project_iam_member" "service" {
  for_each = toset(local._service_roles)

  project = var.project
  role    = each.value
  member  = "serviceAccount:${local._iam.service_account}"
}

resource "google_cloud_run_v2_service_iam_member" "uptime" {
  for_each = local._invoked ? toset(local._invoked_in) : []

  project  = var.project
  location = each.value
  name     = local._run_service
  role     = "roles/run.invoker"
  member   = local._monitoring_agent

  lifecycle {
    precondition {
      condition     = var.project_number != null
      error_message = "project_number: write the project's number; Monitoring's account service-NUMBER@gcp-sa-monitoring-notification.iam.gserviceaccount.com must be allowed to call the private service."
    }
  }
}

resource "google_pubsub_topic_iam_member" "channels" {
  for_each = local._topics

  project = split("/", each.value)[1]
  topic   = split("/", each.value)[3]
  role    = "roles/pubsub.publisher"
  member  = local._monitoring_agent

  lifecycle {
    precondition {
      condition     = var.project_number != null
      error_message = "project_number: write the project's number; Monitoring's account service-NUMBER@gcp-sa-monitoring-notification.iam.gserviceaccount.com must be allowed to publish to ${each.value}."
    }
  }
}
