# `terraform test`, with any provider: the mock takes the provider's schema and calls nothing.

mock_provider "google" {}

variables {
  project = "my-project"
  saved_queries = {
    warnings = {
      id = "items-production-warnings"
      query = {
        displayName  = "Warnings"
        loggingQuery = { filter = "severity>=WARNING" }
        visibility   = "SHARED"
      }
    }
  }
}

run "a_query_is_saved_under_its_id" {
  command = plan

  assert {
    condition     = google_logging_saved_query.queries["warnings"].name == "items-production-warnings"
    error_message = "The id says whose query it is."
  }
  assert {
    condition     = google_logging_saved_query.queries["warnings"].logging_query[0].filter == "severity>=WARNING"
    error_message = "The filter is the file's."
  }
}

run "a_location_is_a_region" {
  command = plan
  variables {
    location = "Frankfurt"
  }
  expect_failures = [var.location]
}

run "a_project_is_no_number" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}

run "queries_are_the_main_modules_output" {
  command = plan
  variables {
    saved_queries = { warnings = "severity>=WARNING" }
  }
  expect_failures = [var.saved_queries]
}
