# Objectives, for display. Burn-rate alerts are policies, and need none of this.

resource "google_monitoring_custom_service" "service" {
  count = var.slo_service == null && length(local._slo_files) > 0 ? 1 : 0

  project      = var.project
  service_id   = "${var.service}-${var.environment}"
  display_name = "${var.service}-${var.environment}"
  user_labels  = { environment = var.environment, service = var.service }
}

# Every field that an objective's file may use, by its name in the API.
resource "google_monitoring_slo" "slos" {
  for_each = local._slo_files

  project             = var.project
  service             = try(google_monitoring_custom_service.service[0].service_id, regex("[^/]+$", var.slo_service))
  slo_id              = "${var.service}-${var.environment}-${replace(each.key, "_", "-")}"
  calendar_period     = try(local._slos[each.key].calendarPeriod, null)
  display_name        = try(local._slos[each.key].displayName, null)
  goal                = try(local._slos[each.key].goal, null)
  rolling_period_days = try(floor(tonumber(trimsuffix(local._slos[each.key].rollingPeriod, "s")) / 86400), null)
  user_labels         = try(local._slos[each.key].userLabels, null)

  dynamic "basic_sli" {
    for_each = try([local._slos[each.key].serviceLevelIndicator.basicSli], [])
    iterator = basic
    content {
      location = try(basic.value.location, null)
      method   = try(basic.value.method, null)
      version  = try(basic.value.version, null)

      dynamic "availability" {
        for_each = try([basic.value.availability], [])
        content {
          # The API's object is empty, which the provider cannot tell from none.
          enabled = true
        }
      }

      dynamic "latency" {
        for_each = try([basic.value.latency], [])
        content {
          threshold = try(latency.value.threshold, null)
        }
      }
    }
  }

  dynamic "request_based_sli" {
    for_each = try([local._slos[each.key].serviceLevelIndicator.requestBased], [])
    iterator = sli
    content {
      dynamic "distribution_cut" {
        for_each = try([sli.value.distributionCut], [])
        iterator = cut
        content {
          distribution_filter = try(cut.value.distributionFilter, null)

          range {
            max = try(cut.value.range.max, null)
            min = try(cut.value.range.min, null)
          }
        }
      }

      dynamic "good_total_ratio" {
        for_each = try([sli.value.goodTotalRatio], [])
        iterator = ratio
        content {
          bad_service_filter   = try(ratio.value.badServiceFilter, null)
          good_service_filter  = try(ratio.value.goodServiceFilter, null)
          total_service_filter = try(ratio.value.totalServiceFilter, null)
        }
      }
    }
  }

  dynamic "windows_based_sli" {
    for_each = try([local._slos[each.key].serviceLevelIndicator.windowsBased], [])
    iterator = sli
    content {
      good_bad_metric_filter = try(sli.value.goodBadMetricFilter, null)
      window_period          = try(sli.value.windowPeriod, null)

      dynamic "good_total_ratio_threshold" {
        for_each = try([sli.value.goodTotalRatioThreshold], [])
        iterator = threshold
        content {
          threshold = try(threshold.value.threshold, null)

          dynamic "basic_sli_performance" {
            for_each = try([threshold.value.basicSliPerformance], [])
            iterator = basic
            content {
              location = try(basic.value.location, null)
              method   = try(basic.value.method, null)
              version  = try(basic.value.version, null)

              dynamic "availability" {
                for_each = try([basic.value.availability], [])
                content {
                  # The API's object is empty, which the provider cannot tell from none.
                  enabled = true
                }
              }

              dynamic "latency" {
                for_each = try([basic.value.latency], [])
                content {
                  threshold = try(latency.value.threshold, null)
                }
              }
            }
          }

          dynamic "performance" {
            for_each = try([threshold.value.performance], [])
            content {
              dynamic "distribution_cut" {
                for_each = try([performance.value.distributionCut], [])
                iterator = cut
                content {
                  distribution_filter = try(cut.value.distributionFilter, null)

                  range {
                    max = try(cut.value.range.max, null)
                    min = try(cut.value.range.min, null)
                  }
                }
              }

              dynamic "good_total_ratio" {
                for_each = try([performance.value.goodTotalRatio], [])
                iterator = ratio
                content {
                  bad_service_filter   = try(ratio.value.badServiceFilter, null)
                  good_service_filter  = try(ratio.value.goodServiceFilter, null)
                  total_service_filter = try(ratio.value.totalServiceFilter, null)
                }
              }
            }
          }
        }
      }

      dynamic "metric_mean_in_range" {
        for_each = try([sli.value.metricMeanInRange], [])
        iterator = mean
        content {
          time_series = try(mean.value.timeSeries, null)

          range {
            max = try(mean.value.range.max, null)
            min = try(mean.value.range.min, null)
          }
        }
      }

      dynamic "metric_sum_in_range" {
        for_each = try([sli.value.metricSumInRange], [])
        iterator = total
        content {
          time_series = try(total.value.timeSeries, null)

          range {
            max = try(total.value.range.max, null)
            min = try(total.value.range.min, null)
          }
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length(local._slo_faults[each.key]) == 0
      error_message = "slos/${basename(each.value)}: ${join("; ", local._slo_faults[each.key])}."
    }
  }
}
