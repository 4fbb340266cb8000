output "alert_policies" {
  description = "Names of the alert policies (`projects/PROJECT/alertPolicies/ID`), by the names of their files."
  value       = { for key, policy in google_monitoring_alert_policy.policies : key => policy.name }
}

output "apis" {
  description = "APIs that must be enabled for what is switched on; the module `project/` takes them as `apis`."
  value       = toset(local._apis)
}

output "channels" {
  description = "Names of the channels made here, by their keys."
  value       = local._channel_names
}

output "dashboards" {
  description = "Names of the dashboards (`projects/NUMBER/dashboards/ID`), by the names of their files."
  value       = { for key, dashboard in google_monitoring_dashboard.dashboards : key => dashboard.id }
}

output "log_metrics" {
  description = "Metric types of the log-based metrics, by the names of their files."
  value       = { for key, metric in google_logging_metric.log_metrics : key => "logging.googleapis.com/user/${metric.name}" }
}

output "log_sinks" {
  description = "Accounts that write the log entries, by `archive` and `logs`: the archive's must be allowed to write to its destination."
  value = merge(
    { for sink in google_logging_project_sink.archive : "archive" => sink.writer_identity },
    { for sink in google_logging_project_sink.logs : "logs" => sink.writer_identity },
  )
}

output "saved_queries" {
  description = "Queries for Logs Explorer, by the names of their files: the `query` as the API has it, the `id` it gets, and a `link` that opens it. The module `queries/` saves them in the project."
  value = {
    for key, query in local._saved_queries : key => {
      id    = "${local._name}-${replace(key, "_", "-")}"
      link  = "https://console.cloud.google.com/logs/query;query=${replace(urlencode(query.loggingQuery.filter), "+", "%20")}?project=${var.project}"
      query = query
    } if length(local._saved_query_faults[key]) == 0
  }

  precondition {
    condition = length(flatten(values(local._saved_query_faults))) == 0
    error_message = join("\n", [
      for key, faults in local._saved_query_faults : "saved_queries/${basename(local._saved_query_files[key])}: ${join("; ", faults)}." if length(faults) > 0
    ])
  }
}

output "slos" {
  description = "Names of the objectives (`projects/PROJECT/services/ID/serviceLevelObjectives/ID`), by the names of their files."
  value       = { for key, slo in google_monitoring_slo.slos : key => slo.name }
}

output "uptime_checks" {
  description = "Ids of the uptime checks, the value of their label `check_id`, by the names of their files."
  value       = merge({ for key, check in google_monitoring_uptime_check_config.uptime_checks : key => check.uptime_check_id }, local._calls.existing)
}
