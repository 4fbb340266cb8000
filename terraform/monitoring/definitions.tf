# The data files, as the emulator reads them too: `.tftpl` files are templates that take the plain names of `_values`,
# all other files are read as they are. A key is a file's name without its ending.

locals {
  _ending = "/[.](yaml|json)([.]tftpl)?$/"

  _catalogue = jsondecode(file("${path.module}/../../backend/app/core/metrics/catalogue.json")).metrics

  # PromQL's name of a metric type: the first "/" becomes ":", every other special character "_". Only Google's Prometheus
  # domain has plain names.
  _metric_prefix = var.metrics_domain == "prometheus" ? "" : "${var.metrics_domain}_googleapis_com:${var.metrics_namespace}_"

  _matchers = concat(
    ["job=\"${var.service}\"", "namespace=\"${var.environment}\""],
    var.metrics_domain == "prometheus" ? [] : ["monitored_resource=\"generic_task\""],
  )

  _texts = {
    environment      = var.environment
    host             = var.host
    location         = var.location
    project          = var.project
    runbook_base_url = var.runbook_base_url
    scope            = join(",", local._matchers)
    service          = var.service
  }
  _metrics = { for name in keys(local._catalogue) : name => "${local._metric_prefix}${name}" }
  _values  = merge(local._texts, { metrics = local._metrics })

  # In JSON a value stands inside a string: its quotes are escaped.
  _values_in_json = merge(
    { for name, text in local._texts : name => replace(jsonencode(text), "/^\"|\"$/", "") },
    { metrics = local._metrics },
  )

  _policy_files = {
    for file in fileset("${path.module}/policies", "*.{yaml,yaml.tftpl}") :
    replace(file, local._ending, "") => "${path.module}/policies/${file}"
    if !contains(var.disabled_policies, replace(file, local._ending, ""))
  }
  _dashboard_files = {
    for file in fileset("${path.module}/dashboards", "*.{json,json.tftpl}") :
    replace(file, local._ending, "") => "${path.module}/dashboards/${file}"
  }
  _uptime_check_files = {
    for file in fileset("${path.module}/uptime_checks", "*.{yaml,yaml.tftpl}") :
    replace(file, local._ending, "") => "${path.module}/uptime_checks/${file}"
  }

  _policies = {
    for key, path in local._policy_files :
    key => yamldecode(endswith(path, ".tftpl") ? templatefile(path, local._values) : file(path))
  }
  _dashboards = {
    for key, path in local._dashboard_files :
    key => jsondecode(endswith(path, ".tftpl") ? templatefile(path, local._values_in_json) : file(path))
  }
  _uptime_checks = {
    for key, path in local._uptime_check_files :
    key => yamldecode(endswith(path, ".tftpl") ? templatefile(path, local._values) : file(path))
  }
}

# A marker `@uptime:<key>` stands for the id of an uptime check, which is known after apply only.
locals {
  _marker = "@uptime:[a-z0-9_-]+"

  _uptime_check_ids = {
    for key, check in google_monitoring_uptime_check_config.uptime_checks : "@uptime:${key}" => check.uptime_check_id
  }

  # Every query and filter -> the same with ids in place of markers.
  _resolved = {
    for text in distinct(flatten([
      for policy in values(local._policies) : [
        for condition in try(policy.conditions, []) : compact([
          try(condition.conditionAbsent.filter, ""),
          try(condition.conditionMatchedLog.filter, ""),
          try(condition.conditionPrometheusQueryLanguage.query, ""),
          try(condition.conditionThreshold.denominatorFilter, ""),
          try(condition.conditionThreshold.filter, ""),
        ])
      ]
    ])) :
    text => join("", [
      for piece in regexall("(?s)${local._marker}|[^@]+|@", text) : lookup(local._uptime_check_ids, piece, piece)
    ])
  }
}

# Who is told: the first of these that `routes` holds.
locals {
  _routes = {
    for key, policy in local._policies : key => [
      for place in [
        [try(policy.userLabels.priority, ""), try(policy.userLabels.team, "")],
        [try(policy.userLabels.priority, ""), "default"],
        ["default", try(policy.userLabels.team, "")],
        ["default", "default"],
      ] : var.routes[place[0]][place[1]] if can(var.routes[place[0]][place[1]])
    ]
  }
  _channels = { for key, found in local._routes : key => try(found[0], []) }
}
