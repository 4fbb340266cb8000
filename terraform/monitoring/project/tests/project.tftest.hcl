# `terraform test`, with any provider: the mock takes the provider's schema and calls nothing.

mock_provider "google" {}

variables {
  project = "my-project"
}

run "nothing_but_apis_is_there_unless_asked_for" {
  command = plan

  assert {
    condition     = length(google_billing_budget.project) + length(google_monitoring_metric_descriptor.metrics) + length(google_logging_project_bucket_config.buckets) + length(google_project_iam_member.ci) == 0
    error_message = "Everything else is off."
  }
  assert {
    condition     = alltrue([for api in google_project_service.apis : !api.disable_on_destroy])
    error_message = "APIs stay enabled."
  }
}

run "what_holds_data_is_abandoned" {
  command = plan

  variables {
    descriptors = { namespaces = ["shop"] }
    log_buckets = { archive = {} }
  }
  assert {
    condition     = alltrue([for one in merge(google_monitoring_metric_descriptor.metrics, google_logging_project_bucket_config.buckets) : one.deletion_policy == "ABANDON"])
    error_message = "Destroying the module deletes no data."
  }
}

run "an_api_has_its_whole_name" {
  command = plan
  variables {
    apis = ["monitoring"]
  }
  expect_failures = [var.apis]
}

run "a_budget_names_an_account" {
  command = plan
  variables {
    budget = { amount = 5, billing_account = "1" }
  }
  expect_failures = [var.budget]
}

run "a_catalogue_is_a_json_file" {
  command = plan
  variables {
    catalogues = ["nothing.json"]
  }
  expect_failures = [var.catalogues]
}

run "a_member_has_a_kind" {
  command = plan
  variables {
    ci = { "ci@example.com" = ["logs"] }
  }
  expect_failures = [var.ci]
}

run "the_prometheus_domain_needs_no_descriptors" {
  command = plan
  variables {
    descriptors = { domain = "prometheus" }
  }
  expect_failures = [var.descriptors]
}

run "logs_are_kept_for_a_day_or_more" {
  command = plan
  variables {
    log_buckets = { archive = { retention_days = 0 } }
  }
  expect_failures = [var.log_buckets]
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
