# `terraform test`, with any provider: the mock takes the provider's schema and calls nothing.

mock_provider "google" {
  mock_resource "google_monitoring_uptime_check_config" {
    defaults = {
      uptime_check_id = "items-production-public-1a2b3c"
    }
  }
}

variables {
  environment      = "production"
  host             = "items-1234.europe-west1.run.app"
  location         = "europe-west1"
  project          = "my-project"
  routes           = { default = { default = ["projects/my-project/notificationChannels/1"] } }
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
}

run "every_file_becomes_one_object" {
  command = plan

  assert {
    condition     = toset(keys(google_monitoring_alert_policy.policies)) == toset(yamldecode(file("./defaults.yaml")).policies)
    error_message = "One alert policy for each that is on by default."
  }
  assert {
    condition     = toset(keys(google_monitoring_dashboard.dashboards)) == toset([for file in fileset("./dashboards", "*.{json,json.tftpl}") : split(".", file)[0]])
    error_message = "One dashboard for each file of dashboards/."
  }
  assert {
    condition     = toset(keys(google_monitoring_uptime_check_config.uptime_checks)) == toset([for file in fileset("./uptime_checks", "*.{yaml,yaml.tftpl}") : split(".", file)[0]])
    error_message = "One uptime check for each file of uptime_checks/."
  }
}

run "a_policy_asks_for_this_service_and_environment_and_tells_its_route" {
  command = plan

  assert {
    condition = alltrue([
      for policy in values(google_monitoring_alert_policy.policies) :
      policy.notification_channels == tolist(["projects/my-project/notificationChannels/1"])
    ])
    error_message = "Every policy tells the channels of its route."
  }
  assert {
    condition = strcontains(
      google_monitoring_alert_policy.policies["high_error_rate"].conditions[0].condition_prometheus_query_language[0].query,
      "job=\"items\",namespace=\"production\"",
    )
    error_message = "The query asks for one service in one environment."
  }
  assert {
    condition     = google_monitoring_alert_policy.policies["high_error_rate"].conditions[0].condition_prometheus_query_language[0].disable_metric_validation
    error_message = "The first apply works before the first request was counted."
  }
}

run "applied_objects_are_named_by_their_files" {
  assert {
    condition     = output.uptime_checks["public"] == "items-production-public-1a2b3c"
    error_message = "The outputs hold what the provider answered."
  }
}

run "a_policy_that_is_left_out_is_not_created" {
  command = plan

  variables {
    policies = ["default", "-high_error_rate"]
  }
  assert {
    condition     = !contains(keys(google_monitoring_alert_policy.policies), "high_error_rate")
    error_message = "A hyphen takes a policy away."
  }
}

run "all_policies_are_planned_on_gke_too" {
  command = plan

  variables {
    platform = "gke"
    policies = ["all"]
  }
  assert {
    condition     = length(google_monitoring_alert_policy.policies) == length(fileset("./policies", "*.yaml.tftpl")) + length(fileset("./policies/gke", "*.yaml.tftpl"))
    error_message = "One alert policy for each file of the platform."
  }
}

run "a_bucket_takes_what_default_leaves_out" {
  command = plan

  variables {
    logs = { bucket = { retention_days = 90 } }
  }
  assert {
    condition     = google_logging_project_sink.logs[0].filter == google_logging_project_exclusion.default["bucket"].filter
    error_message = "Each entry lies in one bucket."
  }
}

run "a_policy_without_a_route_is_refused" {
  command = plan

  variables {
    routes = { p4 = { nobody = [] } }
  }
  expect_failures = [google_monitoring_alert_policy.policies]
}
