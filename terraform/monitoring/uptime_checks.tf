# Every field that an uptime check's file may use, by its name in the API.
resource "google_monitoring_uptime_check_config" "uptime_checks" {
  for_each = local._uptime_check_files

  project            = var.project
  checker_type       = try(local._uptime_checks[each.key].checkerType, null)
  display_name       = try(local._uptime_checks[each.key].displayName, null)
  log_check_failures = try(local._uptime_checks[each.key].logCheckFailures, null)
  period             = try(coalesce(local._calls.period, local._uptime_checks[each.key].period), null)
  selected_regions   = local._calls.regions != null ? sort(local._calls.regions) : try(local._uptime_checks[each.key].selectedRegions, null)
  timeout            = try(local._uptime_checks[each.key].timeout, null)
  user_labels        = try(local._uptime_checks[each.key].userLabels, null)

  dynamic "content_matchers" {
    for_each = try(local._uptime_checks[each.key].contentMatchers, [])
    iterator = matcher
    content {
      content = try(matcher.value.content, null)
      matcher = try(matcher.value.matcher, null)

      dynamic "json_path_matcher" {
        for_each = try([matcher.value.jsonPathMatcher], [])
        iterator = json
        content {
          json_matcher = try(json.value.jsonMatcher, null)
          json_path    = try(json.value.jsonPath, null)
        }
      }
    }
  }

  dynamic "http_check" {
    for_each = try([local._uptime_checks[each.key].httpCheck], [])
    iterator = http
    content {
      body                = try(http.value.body, null)
      content_type        = try(http.value.contentType, null)
      custom_content_type = try(http.value.customContentType, null)
      headers             = try(http.value.headers, null)
      mask_headers        = try(http.value.maskHeaders, null)
      path                = try(http.value.path, null)
      port                = try(http.value.port, null)
      request_method      = try(http.value.requestMethod, null)
      use_ssl             = try(http.value.useSsl, null)
      validate_ssl        = try(http.value.validateSsl, null)

      dynamic "accepted_response_status_codes" {
        for_each = try(http.value.acceptedResponseStatusCodes, [])
        iterator = status
        content {
          status_class = try(status.value.statusClass, null)
          status_value = try(status.value.statusValue, null)
        }
      }

      dynamic "ping_config" {
        for_each = try([http.value.pingConfig], [])
        iterator = ping
        content {
          pings_count = try(ping.value.pingsCount, null)
        }
      }

      dynamic "service_agent_authentication" {
        for_each = try([http.value.serviceAgentAuthentication], local._calls.access == "private" ? [{ type = "OIDC_TOKEN" }] : [])
        iterator = authentication
        content {
          type = try(authentication.value.type, null)
        }
      }
    }
  }

  dynamic "monitored_resource" {
    for_each = try([local._uptime_checks[each.key].monitoredResource], [])
    iterator = monitored
    content {
      labels = try(monitored.value.labels, null)
      type   = try(monitored.value.type, null)
    }
  }

  dynamic "tcp_check" {
    for_each = try([local._uptime_checks[each.key].tcpCheck], [])
    iterator = tcp
    content {
      port = try(tcp.value.port, null)

      dynamic "ping_config" {
        for_each = try([tcp.value.pingConfig], [])
        iterator = ping
        content {
          pings_count = try(ping.value.pingsCount, null)
        }
      }
    }
  }

  lifecycle {
    # A policy that names the check moves to the new one before the old one goes: the API refuses to delete a check in use.
    create_before_destroy = true

    precondition {
      condition     = length(local._uptime_check_faults[each.key]) == 0
      error_message = "uptime_checks/${basename(each.value)}: ${join("; ", local._uptime_check_faults[each.key])}."
    }
  }
}
