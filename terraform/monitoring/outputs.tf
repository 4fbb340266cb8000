output "alert_policies" {
  description = "Names of the alert policies (`projects/PROJECT/alertPolicies/ID`), by the names of their files."
  value       = { for key, policy in google_monitoring_alert_policy.policies : key => policy.name }
}

output "dashboards" {
  description = "Names of the dashboards (`projects/NUMBER/dashboards/ID`), by the names of their files."
  value       = { for key, dashboard in google_monitoring_dashboard.dashboards : key => dashboard.id }
}

output "uptime_checks" {
  description = "Ids of the uptime checks, the value of their label `check_id`, by the names of their files."
  value       = { for key, check in google_monitoring_uptime_check_config.uptime_checks : key => check.uptime_check_id }
}
