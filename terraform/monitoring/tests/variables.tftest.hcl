# Each variable refuses what it cannot use.

mock_provider "google" {}

variables {
  environment      = "production"
  host             = "items-1234.europe-west1.run.app"
  location         = "europe-west1"
  project          = "my-project"
  runbook_base_url = "https://example.com/runbooks"
  service          = "items"
}

run "a_catalogue_is_a_json_file" {
  command = plan
  variables {
    catalogues = ["nothing.json"]
  }
  expect_failures = [var.catalogues]
}

run "a_channel_is_of_one_kind" {
  command = plan
  variables {
    channels = { mail = {} }
  }
  expect_failures = [var.channels]
}

run "a_channel_of_mail_is_an_address" {
  command = plan
  variables {
    channels = { mail = { email = "nobody" } }
  }
  expect_failures = [var.channels]
}

run "a_dashboard_that_does_not_exist_cannot_be_chosen" {
  command = plan
  variables {
    dashboards = ["overwiev"]
  }
  expect_failures = [var.dashboards]
}

run "a_directory_holds_files" {
  command = plan
  variables {
    directories = ["nowhere"]
  }
  expect_failures = [var.directories]
}

run "an_environment_is_lower_case" {
  command = plan
  variables {
    environment = "Production"
  }
  expect_failures = [var.environment]
}

run "a_host_is_no_address" {
  command = plan
  variables {
    host = "https://items.example.com"
  }
  expect_failures = [var.host]
}

run "a_feature_is_one_of_five" {
  command = plan
  variables {
    iam = { features = ["everything"] }
  }
  expect_failures = [var.iam]
}

run "a_location_is_a_region_or_a_zone" {
  command = plan
  variables {
    location = "Europe"
  }
  expect_failures = [var.location]
}

run "a_log_metric_that_does_not_exist_cannot_be_chosen" {
  command = plan
  variables {
    log_metrics = ["memory"]
  }
  expect_failures = [var.log_metrics]
}

run "logs_are_kept_for_whole_days" {
  command = plan
  variables {
    logs = { bucket = { retention_days = 1.5 } }
  }
  expect_failures = [var.logs]
}

run "an_archive_is_a_destination_of_a_sink" {
  command = plan
  variables {
    logs = { archive = { destination = "gs://kept" } }
  }
  expect_failures = [var.logs]
}

run "a_share_is_at_most_one" {
  command = plan
  variables {
    logs = { debug_kept = 10 }
  }
  expect_failures = [var.logs]
}

run "a_domain_is_one_of_three" {
  command = plan
  variables {
    metrics_domain = "prometheus.googleapis.com"
  }
  expect_failures = [var.metrics_domain]
}

run "a_namespace_holds_no_hyphens" {
  command = plan
  variables {
    metrics_namespace = "my-shop"
  }
  expect_failures = [var.metrics_namespace]
}

run "a_platform_is_one_of_two" {
  command = plan
  variables {
    platform = "cloud-run"
  }
  expect_failures = [var.platform]
}

run "a_policy_that_does_not_exist_cannot_be_chosen" {
  command = plan
  variables {
    policies = ["high_eror_rate"]
  }
  expect_failures = [var.policies]
}

run "a_project_is_no_number" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "a_project_number_is_one" {
  command = plan
  variables {
    project_number = "my-project"
  }
  expect_failures = [var.project_number]
}

run "regions_hold_the_location" {
  command = plan
  variables {
    regions = ["us-central1", "us-east1"]
  }
  expect_failures = [var.regions]
}

run "names_of_resources_hold_no_quotes" {
  command = plan
  variables {
    resources = { container = "a\"b" }
  }
  expect_failures = [var.resources]
}

run "routes_begin_with_priorities" {
  command = plan
  variables {
    routes = { p5 = { default = [] } }
  }
  expect_failures = [var.routes]
}

run "routes_end_with_channels" {
  command = plan
  variables {
    routes = { p1 = { default = ["on-call@example.com"] } }
  }
  expect_failures = [var.routes]
}

run "runbooks_stand_behind_https" {
  command = plan
  variables {
    runbook_base_url = "http://example.com"
  }
  expect_failures = [var.runbook_base_url]
}

run "a_service_is_a_plain_name" {
  command = plan
  variables {
    service = "items\",job=\"other"
  }
  expect_failures = [var.service]
}

run "a_service_of_monitoring_is_named_whole" {
  command = plan
  variables {
    slo_service = "items"
  }
  expect_failures = [var.slo_service]
}

run "a_saved_query_that_does_not_exist_cannot_be_chosen" {
  command = plan
  variables {
    saved_queries = ["scaners"]
  }
  expect_failures = [var.saved_queries]
}

run "an_objective_that_does_not_exist_cannot_be_chosen" {
  command = plan
  variables {
    slos = ["uptime"]
  }
  expect_failures = [var.slos]
}

run "a_threshold_that_does_not_exist_cannot_be_set" {
  command = plan
  variables {
    thresholds = { high_error_rate = { ratios = 0.1 } }
  }
  expect_failures = [var.thresholds]
}

run "access_is_one_of_three" {
  command = plan
  variables {
    uptime_checks = { access = "open" }
  }
  expect_failures = [var.uptime_checks]
}

run "checks_run_from_three_places" {
  command = plan
  variables {
    uptime_checks = { regions = ["EUROPE", "USA_IOWA"] }
  }
  expect_failures = [var.uptime_checks]
}

run "a_service_that_nobody_outside_can_call_has_no_uptime_check" {
  command = plan
  variables {
    uptime_checks = { access = "internal" }
  }
  expect_failures = [google_monitoring_uptime_check_config.uptime_checks]
}

run "monitoring_needs_its_number_to_call_a_private_service" {
  command = plan
  variables {
    uptime_checks = { access = "private" }
  }
  expect_failures = [google_cloud_run_v2_service_iam_member.uptime]
}

run "monitoring_needs_its_number_to_publish" {
  command = plan
  variables {
    channels = { tickets = { pubsub = "projects/my-project/topics/tickets" } }
  }
  expect_failures = [google_pubsub_topic_iam_member.channels]
}

run "a_key_of_ones_own_is_warned_of" {
  command = plan
  variables {
    logs = { bucket = { kms_key = "projects/p/locations/global/keyRings/r/cryptoKeys/k" } }
  }
  expect_failures = [check.error_reporting]
}
