# What is wrong with a data file: every key that the API's object does not have here (Terraform would drop it without a
# word), and every rule of ours. The resources refuse to be planned while their list is not empty.

locals {
  _known = {
    acceptedResponseStatusCodes      = ["statusClass", "statusValue"]
    aggregations                     = ["alignmentPeriod", "crossSeriesReducer", "groupByFields", "perSeriesAligner"]
    alertStrategy                    = ["autoClose", "notificationPrompts", "notificationRateLimit"]
    availability                     = []
    basicSli                         = ["availability", "latency", "location", "method", "version"]
    bucketOptions                    = ["explicitBuckets", "exponentialBuckets", "linearBuckets"]
    conditionAbsent                  = ["aggregations", "duration", "filter", "trigger"]
    conditionMatchedLog              = ["filter", "labelExtractors"]
    conditionPrometheusQueryLanguage = ["alertRule", "disableMetricValidation", "duration", "evaluationInterval", "labels", "query", "ruleGroup"]
    conditionThreshold               = ["aggregations", "comparison", "denominatorAggregations", "denominatorFilter", "duration", "evaluationMissingData", "filter", "forecastOptions", "thresholdValue", "trigger"]
    conditions                       = ["conditionAbsent", "conditionMatchedLog", "conditionPrometheusQueryLanguage", "conditionThreshold", "displayName"]
    contentMatchers                  = ["content", "jsonPathMatcher", "matcher"]
    dashboard                        = ["columnLayout", "dashboardFilters", "displayName", "gridLayout", "labels", "mosaicLayout", "rowLayout"]
    denominatorAggregations          = ["alignmentPeriod", "crossSeriesReducer", "groupByFields", "perSeriesAligner"]
    distributionCut                  = ["distributionFilter", "range"]
    documentation                    = ["content", "links", "mimeType", "subject"]
    explicitBuckets                  = ["bounds"]
    exponentialBuckets               = ["growthFactor", "numFiniteBuckets", "scale"]
    forecastOptions                  = ["forecastHorizon"]
    goodTotalRatio                   = ["badServiceFilter", "goodServiceFilter", "totalServiceFilter"]
    goodTotalRatioThreshold          = ["basicSliPerformance", "performance", "threshold"]
    httpCheck                        = ["acceptedResponseStatusCodes", "body", "contentType", "customContentType", "headers", "maskHeaders", "path", "pingConfig", "port", "requestMethod", "serviceAgentAuthentication", "useSsl", "validateSsl"]
    jsonPathMatcher                  = ["jsonMatcher", "jsonPath"]
    labels                           = ["description", "key", "valueType"]
    latency                          = ["threshold"]
    linearBuckets                    = ["numFiniteBuckets", "offset", "width"]
    links                            = ["displayName", "url"]
    logMetric                        = ["bucketName", "bucketOptions", "description", "disabled", "filter", "labelExtractors", "metricDescriptor", "name", "valueExtractor"]
    loggingQuery                     = ["filter", "summaryFieldEnd", "summaryFieldStart", "summaryFields"]
    metricDescriptor                 = ["displayName", "labels", "metricKind", "unit", "valueType"]
    metricRange                      = ["range", "timeSeries"]
    monitoredResource                = ["labels", "type"]
    notificationRateLimit            = ["period"]
    pingConfig                       = ["pingsCount"]
    policy                           = ["alertStrategy", "combiner", "conditions", "displayName", "documentation", "enabled", "severity", "userLabels"]
    range                            = ["max", "min"]
    requestBased                     = ["distributionCut", "goodTotalRatio"]
    savedQuery                       = ["description", "displayName", "loggingQuery", "visibility"]
    serviceAgentAuthentication       = ["type"]
    serviceLevelIndicator            = ["basicSli", "requestBased", "windowsBased"]
    slo                              = ["calendarPeriod", "displayName", "goal", "rollingPeriod", "serviceLevelIndicator", "userLabels"]
    summaryFields                    = ["field"]
    tcpCheck                         = ["pingConfig", "port"]
    trigger                          = ["count", "percent"]
    uptimeCheck                      = ["checkerType", "contentMatchers", "displayName", "httpCheck", "logCheckFailures", "monitoredResource", "period", "selectedRegions", "tcpCheck", "timeout", "userLabels"]
    windowsBased                     = ["goodBadMetricFilter", "goodTotalRatioThreshold", "metricMeanInRange", "metricSumInRange", "windowPeriod"]
  }
  _condition_kinds = ["conditionAbsent", "conditionMatchedLog", "conditionPrometheusQueryLanguage", "conditionThreshold"]

  # Every object inside a file: its place, its kind in `_known`, its keys.
  _policy_parts = {
    for key, policy in local._policies : key => flatten([
      { at = "policy", kind = "policy", keys = try(keys(policy), ["no mapping"]) },
      [for part in try([policy.alertStrategy], []) : [
        { at = "alertStrategy", kind = "alertStrategy", keys = try(keys(part), ["no mapping"]) },
        [for inner in try([part.notificationRateLimit], []) :
          { at = "alertStrategy.notificationRateLimit", kind = "notificationRateLimit", keys = try(keys(inner), ["no mapping"]) }
        ],
      ]],
      [for part in try([policy.documentation], []) : [
        { at = "documentation", kind = "documentation", keys = try(keys(part), ["no mapping"]) },
        [for n, link in try(part.links, []) :
          { at = "documentation.links[${n}]", kind = "links", keys = try(keys(link), ["no mapping"]) }
        ],
      ]],
      [for n, condition in try(policy.conditions, []) : [
        { at = "conditions[${n}]", kind = "conditions", keys = try(keys(condition), ["no mapping"]) },
        [for kind in local._condition_kinds : [for part in try([condition[kind]], []) : [
          { at = "conditions[${n}].${kind}", kind = kind, keys = try(keys(part), ["no mapping"]) },
          [for name in ["aggregations", "denominatorAggregations"] : [for m, inner in try(part[name], []) :
            { at = "conditions[${n}].${kind}.${name}[${m}]", kind = name, keys = try(keys(inner), ["no mapping"]) }
          ]],
          [for name in ["forecastOptions", "trigger"] : [for inner in try([part[name]], []) :
            { at = "conditions[${n}].${kind}.${name}", kind = name, keys = try(keys(inner), ["no mapping"]) }
          ]],
        ]]],
      ]],
    ])
  }

  _uptime_check_parts = {
    for key, check in local._uptime_checks : key => flatten([
      { at = "uptime check", kind = "uptimeCheck", keys = try(keys(check), ["no mapping"]) },
      [for part in try([check.monitoredResource], []) :
        { at = "monitoredResource", kind = "monitoredResource", keys = try(keys(part), ["no mapping"]) }
      ],
      [for n, part in try(check.contentMatchers, []) : [
        { at = "contentMatchers[${n}]", kind = "contentMatchers", keys = try(keys(part), ["no mapping"]) },
        [for inner in try([part.jsonPathMatcher], []) :
          { at = "contentMatchers[${n}].jsonPathMatcher", kind = "jsonPathMatcher", keys = try(keys(inner), ["no mapping"]) }
        ],
      ]],
      [for name in ["httpCheck", "tcpCheck"] : [for part in try([check[name]], []) : [
        { at = name, kind = name, keys = try(keys(part), ["no mapping"]) },
        [for inner_name in ["pingConfig", "serviceAgentAuthentication"] : [for inner in try([part[inner_name]], []) :
          { at = "${name}.${inner_name}", kind = inner_name, keys = try(keys(inner), ["no mapping"]) }
        ]],
        [for n, inner in try(part.acceptedResponseStatusCodes, []) :
          { at = "${name}.acceptedResponseStatusCodes[${n}]", kind = "acceptedResponseStatusCodes", keys = try(keys(inner), ["no mapping"]) }
        ],
      ]]],
    ])
  }

  # A basic indicator, of the service itself or of each window.
  _slo_basics = {
    for key, slo in local._slos : key => flatten([
      [for part in try([slo.serviceLevelIndicator.basicSli], []) : { at = "serviceLevelIndicator.basicSli", part = part }],
      [for part in try([slo.serviceLevelIndicator.windowsBased.goodTotalRatioThreshold.basicSliPerformance], []) :
        { at = "serviceLevelIndicator.windowsBased.goodTotalRatioThreshold.basicSliPerformance", part = part }
      ],
    ])
  }

  # A cut or a ratio, with its range.
  _slo_performances = {
    for key, slo in local._slos : key => flatten([
      [for part in try([slo.serviceLevelIndicator.requestBased], []) : { at = "serviceLevelIndicator.requestBased", part = part }],
      [for part in try([slo.serviceLevelIndicator.windowsBased.goodTotalRatioThreshold.performance], []) :
        { at = "serviceLevelIndicator.windowsBased.goodTotalRatioThreshold.performance", part = part }
      ],
    ])
  }
  _slo_parts = {
    for key, slo in local._slos : key => flatten([
      { at = "slo", kind = "slo", keys = try(keys(slo), ["no mapping"]) },
      [for part in try([slo.serviceLevelIndicator], []) : [
        { at = "serviceLevelIndicator", kind = "serviceLevelIndicator", keys = try(keys(part), ["no mapping"]) },
        [for inner in try([part.windowsBased], []) :
          { at = "serviceLevelIndicator.windowsBased", kind = "windowsBased", keys = try(keys(inner), ["no mapping"]) }
        ],
        [for inner in try([part.windowsBased.goodTotalRatioThreshold], []) :
          { at = "serviceLevelIndicator.windowsBased.goodTotalRatioThreshold", kind = "goodTotalRatioThreshold", keys = try(keys(inner), ["no mapping"]) }
        ],
        [for name in ["metricMeanInRange", "metricSumInRange"] : [for inner in try([part.windowsBased[name]], []) : [
          { at = "serviceLevelIndicator.windowsBased.${name}", kind = "metricRange", keys = try(keys(inner), ["no mapping"]) },
          [for range in try([inner.range], []) :
            { at = "serviceLevelIndicator.windowsBased.${name}.range", kind = "range", keys = try(keys(range), ["no mapping"]) }
          ],
        ]]],
      ]],
      [for found in local._slo_basics[key] : [
        { at = found.at, kind = "basicSli", keys = try(keys(found.part), ["no mapping"]) },
        [for name in ["availability", "latency"] : [for inner in try([found.part[name]], []) :
          { at = "${found.at}.${name}", kind = name, keys = try(keys(inner), ["no mapping"]) }
        ]],
      ]],
      [for found in local._slo_performances[key] : [
        { at = found.at, kind = "requestBased", keys = try(keys(found.part), ["no mapping"]) },
        [for name in ["distributionCut", "goodTotalRatio"] : [for inner in try([found.part[name]], []) : [
          { at = "${found.at}.${name}", kind = name, keys = try(keys(inner), ["no mapping"]) },
          [for range in try([inner.range], []) : { at = "${found.at}.${name}.range", kind = "range", keys = try(keys(range), ["no mapping"]) }],
        ]]],
      ]],
    ])
  }

  _log_metric_parts = {
    for key, metric in local._log_metrics : key => flatten([
      { at = "log metric", kind = "logMetric", keys = try(keys(metric), ["no mapping"]) },
      [for part in try([metric.metricDescriptor], []) : [
        { at = "metricDescriptor", kind = "metricDescriptor", keys = try(keys(part), ["no mapping"]) },
        [for n, label in try(part.labels, []) :
          { at = "metricDescriptor.labels[${n}]", kind = "labels", keys = try(keys(label), ["no mapping"]) }
        ],
      ]],
      [for part in try([metric.bucketOptions], []) : [
        { at = "bucketOptions", kind = "bucketOptions", keys = try(keys(part), ["no mapping"]) },
        [for name in ["explicitBuckets", "exponentialBuckets", "linearBuckets"] : [for inner in try([part[name]], []) :
          { at = "bucketOptions.${name}", kind = name, keys = try(keys(inner), ["no mapping"]) }
        ]],
      ]],
    ])
  }

  _saved_query_parts = {
    for key, query in local._saved_queries : key => flatten([
      { at = "saved query", kind = "savedQuery", keys = try(keys(query), ["no mapping"]) },
      [for part in try([query.loggingQuery], []) : [
        { at = "loggingQuery", kind = "loggingQuery", keys = try(keys(part), ["no mapping"]) },
        [for n, field in try(part.summaryFields, []) :
          { at = "loggingQuery.summaryFields[${n}]", kind = "summaryFields", keys = try(keys(field), ["no mapping"]) }
        ],
      ]],
    ])
  }

  _dashboard_parts = {
    for key, dashboard in local._dashboards :
    key => [{ at = "dashboard", kind = "dashboard", keys = try(keys(dashboard), ["no mapping"]) }]
  }

  # Templates take plain names, so that every reader of these files sees the same: no expressions, no directives.
  _not_plain = {
    for path in flatten([for files in [local._policy_files, local._dashboard_files, local._uptime_check_files, local._slo_files, local._log_metric_files, local._saved_query_files] : values(files)]) :
    path => [
      for found in regexall("(?:^|[^$])([$][{][^}]*[}])|(?:^|[^%])(%[{][^}]*[}])", file(path)) :
      coalesce(found...) if !can(regex("^[$][{]\\s*[A-Za-z_][\\w-]*([.][A-Za-z_][\\w-]*)*\\s*[}]$", coalesce(found...)))
    ] if endswith(path, ".tftpl")
  }

  _policy_faults = {
    for key, path in local._policy_files : key => concat(
      [for text in lookup(local._not_plain, path, []) : "${text}: templates take plain names only"],
      flatten([for part in local._policy_parts[key] : [
        for name in setsubtract(part.keys, local._known[part.kind]) : "${part.at}: unknown key ${name}"
      ]]),
      [for name in ["combiner", "conditions", "displayName"] :
        "policy: ${name} is missing" if !can(local._policies[key][name])
      ],
      contains(["p1", "p2", "p3", "p4"], try(local._policies[key].userLabels.priority, "")) ? [] :
      ["userLabels.priority: write p1, p2, p3 or p4"],
      try(local._policies[key].userLabels.team, "") != "" ? [] : ["userLabels.team: write the team that is told"],
      [for n, condition in try(local._policies[key].conditions, []) :
        "conditions[${n}]: write exactly one of ${join(", ", local._condition_kinds)}"
        if length(setintersection(try(keys(condition), []), local._condition_kinds)) != 1
      ],
      [for marker in distinct(regexall(local._marker, jsonencode(local._policies[key]))) :
        "${marker}: no uptime check of this name" if !contains(local._check_keys, trimprefix(marker, "@uptime:"))
      ],
      length(var.routes) == 0 || length(local._routes[key]) > 0 ? [] : [format(
        "no route for priority %[1]s and team %[2]s: write routes.%[1]s.%[2]s, routes.%[1]s.default or routes.default.default",
        try(local._policies[key].userLabels.priority, "?"), try(local._policies[key].userLabels.team, "?"),
      )],
    )
  }

  _dashboard_faults = {
    for key, path in local._dashboard_files : key => concat(
      [for text in lookup(local._not_plain, path, []) : "${text}: templates take plain names only"],
      flatten([for part in local._dashboard_parts[key] : [
        for name in setsubtract(part.keys, local._known[part.kind]) : "${part.at}: unknown key ${name}"
      ]]),
      # Cloud Monitoring's own limit.
      try(length(local._dashboards[key].mosaicLayout.tiles), 0) <= 50 ? [] : ["mosaicLayout: at most 50 tiles"],
    )
  }

  _uptime_check_faults = {
    for key, path in local._uptime_check_files : key => concat(
      [for text in lookup(local._not_plain, path, []) : "${text}: templates take plain names only"],
      flatten([for part in local._uptime_check_parts[key] : [
        for name in setsubtract(part.keys, local._known[part.kind]) : "${part.at}: unknown key ${name}"
      ]]),
      [for name in ["displayName", "monitoredResource", "timeout"] :
        "uptime check: ${name} is missing" if !can(local._uptime_checks[key][name])
      ],
      # From outside nobody gets in, Google's checkers neither.
      local._calls.access != "internal" ? [] : [
        "nothing outside can call a service with internal ingress: write uptime_checks = { enabled = false }, then the policies telemetry_stopped and service_unavailable_platform tell that it is down; or give the host of a load balancer before it and access = \"public\""
      ],
    )
  }

  _slo_faults = {
    for key, path in local._slo_files : key => concat(
      [for text in lookup(local._not_plain, path, []) : "${text}: templates take plain names only"],
      flatten([for part in local._slo_parts[key] : [
        for name in setsubtract(part.keys, local._known[part.kind]) : "${part.at}: unknown key ${name}"
      ]]),
      [for name in ["displayName", "goal", "serviceLevelIndicator"] : "slo: ${name} is missing" if !can(local._slos[key][name])],
      length(setintersection(try(keys(local._slos[key].serviceLevelIndicator), ["basicSli"]), local._known.serviceLevelIndicator)) == 1 ? [] :
      ["serviceLevelIndicator: write exactly one of ${join(", ", local._known.serviceLevelIndicator)}"],
      [for found in local._slo_basics[key] : "${found.at}: write exactly one of availability and latency"
        if length(setintersection(try(keys(found.part), []), ["availability", "latency"])) != 1
      ],
      # cloud.google.com/monitoring/api/ref_v3/rest/v3/services.serviceLevelObjectives: only services of a known type have one.
      [for found in local._slo_basics[key] : "${found.at}: the service that is made here has no metrics of its own; write slo_service, a service that Monitoring knows from Cloud Run or GKE, or an indicator of another kind"
        if var.slo_service == null
      ],
      [for found in local._slo_basics[key] : "${found.at}.latency.threshold: write whole seconds, or three digits after the point, such as \"0.500s\"; the API answers so, and every plan would show a difference"
        if can(found.part.latency.threshold) && !can(regex("^[0-9]+([.][0-9]{3})?s$", found.part.latency.threshold))
      ],
      can(local._slos[key].rollingPeriod) != can(local._slos[key].calendarPeriod) ? [] : ["slo: write one of rollingPeriod and calendarPeriod"],
      can(regex("^[0-9]+s$", try(local._slos[key].rollingPeriod, "0s"))) && try(tonumber(trimsuffix(local._slos[key].rollingPeriod, "s")) % 86400, 0) == 0 ? [] :
      ["slo: write rollingPeriod as whole days in seconds, such as \"2419200s\""],
      # The provider cannot take a goal above (google/monitoring/v3/service.proto).
      try(local._slos[key].goal > 0 && local._slos[key].goal <= 0.9999, true) ? [] : ["slo: write a goal above 0, at most 0.9999"],
    )
  }

  _log_metric_faults = {
    for key, path in local._log_metric_files : key => concat(
      [for text in lookup(local._not_plain, path, []) : "${text}: templates take plain names only"],
      flatten([for part in local._log_metric_parts[key] : [
        for name in setsubtract(part.keys, local._known[part.kind]) : "${part.at}: unknown key ${name}"
      ]]),
      [for name in ["filter", "name"] : "log metric: ${name} is missing" if !can(local._log_metrics[key][name])],
    )
  }

  _saved_query_faults = {
    for key, path in local._saved_query_files : key => concat(
      [for text in lookup(local._not_plain, path, []) : "${text}: templates take plain names only"],
      flatten([for part in local._saved_query_parts[key] : [
        for name in setsubtract(part.keys, local._known[part.kind]) : "${part.at}: unknown key ${name}"
      ]]),
      [for name in ["displayName", "loggingQuery", "visibility"] : "saved query: ${name} is missing" if !can(local._saved_queries[key][name])],
      can(local._saved_queries[key].loggingQuery.filter) ? [] : ["loggingQuery: filter is missing"],
      contains(["PRIVATE", "SHARED"], try(local._saved_queries[key].visibility, "SHARED")) ? [] : ["saved query: write visibility as SHARED or PRIVATE"],
    )
  }
}
