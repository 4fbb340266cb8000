# Every field that a policy file may use, by its name in the API.
resource "google_monitoring_alert_policy" "policies" {
  for_each = local._policy_files

  project               = var.project
  display_name          = try(local._policies[each.key].displayName, null)
  combiner              = try(local._policies[each.key].combiner, null)
  enabled               = try(local._policies[each.key].enabled, true)
  severity              = try(local._policies[each.key].severity, null)
  user_labels           = try(local._policies[each.key].userLabels, null)
  notification_channels = local._channels[each.key]

  dynamic "alert_strategy" {
    for_each = local._strategies[each.key]
    iterator = strategy
    content {
      auto_close           = try(strategy.value.autoClose, null)
      notification_prompts = try(strategy.value.notificationPrompts, null)

      dynamic "notification_channel_strategy" {
        for_each = local._renotified[each.key]
        iterator = renotify
        content {
          notification_channel_names = local._channels[each.key]
          renotify_interval          = renotify.value
        }
      }

      dynamic "notification_rate_limit" {
        for_each = try([strategy.value.notificationRateLimit], [])
        iterator = limit
        content {
          period = try(limit.value.period, null)
        }
      }
    }
  }

  dynamic "conditions" {
    for_each = try(local._policies[each.key].conditions, [])
    iterator = condition
    content {
      display_name = try(condition.value.displayName, null)

      dynamic "condition_absent" {
        for_each = try([condition.value.conditionAbsent], [])
        iterator = absent
        content {
          duration = try(absent.value.duration, null)
          filter   = try(local._resolved[each.key][absent.value.filter], null)

          dynamic "aggregations" {
            for_each = try(absent.value.aggregations, [])
            content {
              alignment_period     = try(aggregations.value.alignmentPeriod, null)
              cross_series_reducer = try(aggregations.value.crossSeriesReducer, null)
              group_by_fields      = try(aggregations.value.groupByFields, null)
              per_series_aligner   = try(aggregations.value.perSeriesAligner, null)
            }
          }

          dynamic "trigger" {
            for_each = try([absent.value.trigger], [])
            content {
              count   = try(trigger.value.count, null)
              percent = try(trigger.value.percent, null)
            }
          }
        }
      }

      dynamic "condition_matched_log" {
        for_each = try([condition.value.conditionMatchedLog], [])
        iterator = matched
        content {
          filter           = try(local._resolved[each.key][matched.value.filter], null)
          label_extractors = try(matched.value.labelExtractors, null)
        }
      }

      dynamic "condition_prometheus_query_language" {
        for_each = try([condition.value.conditionPrometheusQueryLanguage], [])
        iterator = promql
        content {
          alert_rule                = try(promql.value.alertRule, null)
          disable_metric_validation = try(promql.value.disableMetricValidation, null)
          duration                  = try(promql.value.duration, null)
          evaluation_interval       = try(promql.value.evaluationInterval, null)
          labels                    = try(promql.value.labels, null)
          query                     = try(local._resolved[each.key][promql.value.query], null)
          rule_group                = try(promql.value.ruleGroup, null)
        }
      }

      dynamic "condition_threshold" {
        for_each = try([condition.value.conditionThreshold], [])
        iterator = threshold
        content {
          comparison              = try(threshold.value.comparison, null)
          denominator_filter      = try(local._resolved[each.key][threshold.value.denominatorFilter], null)
          duration                = try(threshold.value.duration, null)
          evaluation_missing_data = try(threshold.value.evaluationMissingData, null)
          filter                  = try(local._resolved[each.key][threshold.value.filter], null)
          threshold_value         = try(threshold.value.thresholdValue, null)

          dynamic "aggregations" {
            for_each = try(threshold.value.aggregations, [])
            content {
              alignment_period     = try(aggregations.value.alignmentPeriod, null)
              cross_series_reducer = try(aggregations.value.crossSeriesReducer, null)
              group_by_fields      = try(aggregations.value.groupByFields, null)
              per_series_aligner   = try(aggregations.value.perSeriesAligner, null)
            }
          }

          dynamic "denominator_aggregations" {
            for_each = try(threshold.value.denominatorAggregations, [])
            content {
              alignment_period     = try(denominator_aggregations.value.alignmentPeriod, null)
              cross_series_reducer = try(denominator_aggregations.value.crossSeriesReducer, null)
              group_by_fields      = try(denominator_aggregations.value.groupByFields, null)
              per_series_aligner   = try(denominator_aggregations.value.perSeriesAligner, null)
            }
          }

          dynamic "forecast_options" {
            for_each = try([threshold.value.forecastOptions], [])
            iterator = forecast
            content {
              forecast_horizon = try(forecast.value.forecastHorizon, null)
            }
          }

          dynamic "trigger" {
            for_each = try([threshold.value.trigger], [])
            content {
              count   = try(trigger.value.count, null)
              percent = try(trigger.value.percent, null)
            }
          }
        }
      }
    }
  }

  dynamic "documentation" {
    for_each = try([local._policies[each.key].documentation], [])
    content {
      content   = try(documentation.value.content, null)
      mime_type = try(documentation.value.mimeType, null)
      subject   = try(documentation.value.subject, null)

      dynamic "links" {
        for_each = try(documentation.value.links, [])
        content {
          display_name = try(links.value.displayName, null)
          url          = try(links.value.url, null)
        }
      }
    }
  }

  # Conditions on log-based metrics need them to be there.
  depends_on = [google_logging_metric.log_metrics]

  lifecycle {
    precondition {
      condition     = length(local._policy_faults[each.key]) == 0
      error_message = "policies/${basename(each.value)}: ${join("; ", local._policy_faults[each.key])}."
    }
  }
}
