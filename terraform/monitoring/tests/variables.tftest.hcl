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

run "a_policy_that_does_not_exist_cannot_be_disabled" {
  command = plan
  variables {
    disabled_policies = ["high_eror_rate"]
  }
  expect_failures = [var.disabled_policies]
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

run "a_location_is_a_region_or_a_zone" {
  command = plan
  variables {
    location = "Europe"
  }
  expect_failures = [var.location]
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

run "a_project_is_no_number" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "routes_begin_with_priorities" {
  command = plan
  variables {
    routes = { p5 = { default = [] } }
  }
  expect_failures = [var.routes]
}

run "routes_end_with_names_of_channels" {
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
