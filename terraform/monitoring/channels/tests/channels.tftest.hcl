# `terraform test`, with any provider: the mock takes the provider's schema and calls nothing.

mock_provider "google" {}

variables {
  channels = { pager = { pagerduty = {} } }
  project  = "my-project"
  secrets  = { pager = "key" }
}

run "a_secret_is_written_and_not_kept" {
  command = plan

  assert {
    condition     = google_monitoring_notification_channel.channels["pager"].sensitive_labels[0].service_key == null
    error_message = "The label that a state keeps stays empty."
  }
  assert {
    condition     = google_monitoring_notification_channel.channels["pager"].sensitive_labels[0].service_key_wo_version == "1"
    error_message = "A version tells when to write it again."
  }
}

run "a_channel_is_of_one_kind" {
  command = plan
  variables {
    channels = { pager = {} }
  }
  expect_failures = [var.channels]
}

run "a_misspelt_word_is_told" {
  command = plan
  variables {
    channels = { pager = { pagerduty = {}, secret_versoin = 2 } }
  }
  expect_failures = [var.channels]
}

run "a_token_in_an_address_is_refused" {
  command = plan
  variables {
    channels = { pager = { webhook = { url = "https://example.com/?token=t", username = "u" } } }
  }
  expect_failures = [var.channels]
}

run "a_project_is_no_number" {
  command = plan
  variables {
    project = "123456789012"
  }
  expect_failures = [var.project]
}
