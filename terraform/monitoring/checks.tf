# What is wrong with a data file: every key that the API's object does not have here (Terraform would drop it without a
# word), and every rule of ours. The resources refuse to be planned while their list is not empty.

locals {
  _known = {
    acceptedResponseStatusCodes      = ["statusClass", "statusValue"]
    aggregations                     = ["alignmentPeriod", "crossSeriesReducer", "groupByFields", "perSeriesAligner"]
    alertStrategy                    = ["autoClose", "notificationPrompts", "notificationRateLimit"]
    conditionAbsent                  = ["aggregations", "duration", "filter", "trigger"]
    conditionMatchedLog              = ["filter", "labelExtractors"]
    conditionPrometheusQueryLanguage = ["alertRule", "disableMetricValidation", "duration", "evaluationInterval", "labels", "query", "ruleGroup"]
    conditionThreshold               = ["aggregations", "comparison", "denominatorAggregations", "denominatorFilter", "duration", "evaluationMissingData", "filter", "forecastOptions", "thresholdValue", "trigger"]
    conditions                       = ["conditionAbsent", "conditionMatchedLog", "conditionPrometheusQueryLanguage", "conditionThreshold", "displayName"]
    contentMatchers                  = ["content", "jsonPathMatcher", "matcher"]
    dashboard                        = ["columnLayout", "dashboardFilters", "displayName", "gridLayout", "labels", "mosaicLayout", "rowLayout"]
    denominatorAggregations          = ["alignmentPeriod", "crossSeriesReducer", "groupByFields", "perSeriesAligner"]
    documentation                    = ["content", "links", "mimeType", "subject"]
    forecastOptions                  = ["forecastHorizon"]
    httpCheck                        = ["acceptedResponseStatusCodes", "body", "contentType", "customContentType", "headers", "maskHeaders", "path", "pingConfig", "port", "requestMethod", "serviceAgentAuthentication", "useSsl", "validateSsl"]
    jsonPathMatcher                  = ["jsonMatcher", "jsonPath"]
    links                            = ["displayName", "url"]
    monitoredResource                = ["labels", "type"]
    notificationRateLimit            = ["period"]
    pingConfig                       = ["pingsCount"]
    policy                           = ["alertStrategy", "combiner", "conditions", "displayName", "documentation", "enabled", "severity", "userLabels"]
    serviceAgentAuthentication       = ["type"]
    tcpCheck                         = ["pingConfig", "port"]
    trigger                          = ["count", "percent"]
    uptimeCheck                      = ["checkerType", "contentMatchers", "displayName", "httpCheck", "logCheckFailures", "monitoredResource", "period", "selectedRegions", "tcpCheck", "timeout", "userLabels"]
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

  _dashboard_parts = {
    for key, dashboard in local._dashboards :
    key => [{ at = "dashboard", kind = "dashboard", keys = try(keys(dashboard), ["no mapping"]) }]
  }

  # Templates take plain names, so that every reader of these files sees the same: no expressions, no directives.
  _not_plain = {
    for path in concat(values(local._policy_files), values(local._dashboard_files), values(local._uptime_check_files)) :
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
        "${marker}: no uptime check of this name" if !contains(keys(local._uptime_check_files), trimprefix(marker, "@uptime:"))
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
    )
  }
}
