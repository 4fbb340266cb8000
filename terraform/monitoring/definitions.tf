# The data files, as the emulator reads them too: `.tftpl` files are templates that take the plain names of `_values`,
# all other files are read as they are. A key is a file's name without its ending.

locals {
  _ending   = "/[.](yaml|json)([.]tftpl)?$/"
  _defaults = yamldecode(file("${path.module}/defaults.yaml"))
  _folders  = concat([path.module], var.directories)
  _kinds    = ["dashboards", "log_metrics", "policies", "saved_queries", "slos", "uptime_checks"]

  _catalogue = merge(
    jsondecode(file("${path.module}/../../backend/app/core/metrics/catalogue.json")).metrics,
    [for path in var.catalogues : jsondecode(file(path)).metrics]...
  )

  # Every file of ours, then of the user's folders: a later file of the same name takes the earlier one's place.
  _found = {
    for kind in local._kinds : kind => merge([
      for folder in local._folders : {
        for file in setunion(
          fileset("${folder}/${kind}", kind == "dashboards" ? "*.{json,json.tftpl}" : "*.{yaml,yaml.tftpl}"),
          # Policies of the platform's own metrics.
          fileset("${folder}/${kind}", "${var.platform}/*.{yaml,yaml.tftpl}"),
        ) :
        replace(basename(file), local._ending, "") => { path = "${folder}/${kind}/${file}", ours = folder == path.module }
      }
    ]...)
  }
}

# What is on. Words are read in order, and the last one about a name counts; the user's own files are on to begin with.
locals {
  _default_policies = toset(local._defaults.policies)

  _words = {
    dashboards    = var.dashboards
    log_metrics   = var.log_metrics
    policies      = var.policies
    saved_queries = var.saved_queries
    slos          = var.slos
    uptime_checks = [local._calls.enabled ? "all" : "-all"]
  }

  # Per name, what each word says about it: true, false, or nothing.
  _on = {
    for kind in local._kinds : kind => toset([
      for key, file in local._found[kind] : key if reverse(concat([!file.ours], [
        for word in local._words[kind] : !startswith(word, "-") if contains(
          concat([key, "all"], kind == "policies" && contains(local._default_policies, key) ? ["default"] : []),
          trimprefix(word, "-"),
        ) && !(word == "-all" && !file.ours && kind == "uptime_checks" && local._calls.enabled)
      ]))[0]
    ])
  }

  # Without uptime checks, policies on their results are on only when they are asked for by name.
  _calling = toset([
    for key in local._on.policies : key
    if length(local._check_keys) == 0 && !contains(var.policies, key) && strcontains(file(local._found.policies[key].path), "uptime_check_")
  ])
  _check_keys = setunion(local._on.uptime_checks, keys(local._calls.existing))

  _policy_files       = { for key in setsubtract(local._on.policies, local._calling) : key => local._found.policies[key].path }
  _dashboard_files    = { for key in local._on.dashboards : key => local._found.dashboards[key].path }
  _uptime_check_files = { for key in setsubtract(local._on.uptime_checks, keys(local._calls.existing)) : key => local._found.uptime_checks[key].path }
  _slo_files          = { for key in local._on.slos : key => local._found.slos[key].path }
  _saved_query_files  = { for key in local._on.saved_queries : key => local._found.saved_queries[key].path }
  _log_metric_files   = { for key in local._on.log_metrics : key => local._found.log_metrics[key].path }
}

# What templates see: the same names and texts as emulator/definitions/catalogue.py.
locals {
  # PromQL's name of a metric type: the first "/" becomes ":", every other special character "_". Only Google's Prometheus
  # domain has plain names.
  _metric_prefix = var.metrics_domain == "prometheus" ? "" : "${var.metrics_domain}_googleapis_com:${var.metrics_namespace}_"

  _matchers = concat(
    ["job=\"${var.service}\"", "namespace=\"${var.environment}\""],
    var.metrics_domain == "prometheus" ? [] : ["monitored_resource=\"generic_task\""],
  )
  _space       = coalesce(local._names.kubernetes_namespace, var.environment)
  _container   = coalesce(local._names.container, var.service)
  _run_service = coalesce(local._names.run_service, var.service)

  _texts = {
    environment      = var.environment
    filter_scope     = "resource.type=\"${local._resource}\" resource.labels.job=\"${var.service}\" resource.labels.namespace=\"${var.environment}\""
    host             = var.host
    location         = var.location
    project          = var.project
    runbook_base_url = var.runbook_base_url
    scope            = join(",", local._matchers)
    service          = var.service
  }
  _resource = var.metrics_domain == "prometheus" ? "prometheus_target" : "generic_task"
  _resources = {
    own           = "monitored_resource=\"${local._resource}\""
    run           = "monitored_resource=\"cloud_run_revision\",service_name=\"${local._run_service}\""
    container     = "monitored_resource=\"k8s_container\",namespace_name=\"${local._space}\",container_name=\"${local._container}\""
    pod           = "monitored_resource=\"k8s_pod\",namespace_name=\"${local._space}\",pod_name=~\"${local._container}-.*\""
    load_balancer = "monitored_resource=\"https_lb_rule\",backend_target_name=~\"${coalesce(local._names.backend, ".*-${local._space}-${local._container}-.*")}\""
    database      = "monitored_resource=\"cloudsql_database\",database_id=\"${coalesce(local._names.database, "${var.project}:${var.service}")}\""
  }
  # The same in Cloud Logging's query language.
  _resource_filters = {
    run       = "resource.type=\"cloud_run_revision\" resource.labels.service_name=\"${local._run_service}\""
    container = "resource.type=\"k8s_container\" resource.labels.namespace_name=\"${local._space}\" resource.labels.container_name=\"${local._container}\""
    pod       = "resource.type=\"k8s_pod\" resource.labels.namespace_name=\"${local._space}\" resource.labels.pod_name=~\"^${local._container}-\""
  }
  _by = merge(
    length(var.regions) > 1 ? { total = " by (location) ", bucket = " by (le, location) " } : { total = "", bucket = " by (le) " },
    # What tells processes apart: a label of the resource, so it depends on the domain.
    { instance = var.metrics_domain == "prometheus" ? "instance" : "task_id" },
  )

  _metrics = { for name in keys(local._catalogue) : name => "${local._metric_prefix}${name}" }
  _metric_types = {
    for name, metric in local._catalogue : name =>
    var.metrics_domain == "prometheus" ? "prometheus.googleapis.com/${name}/${metric.kind}" : "${var.metrics_domain}.googleapis.com/${var.metrics_namespace}/${name}"
  }

  _thresholds = { for policy, defaults in local._defaults.thresholds : policy => merge(defaults, lookup(var.thresholds, policy, {})) }
  _above = {
    for policy, tiers in local._defaults.tiers :
    policy => [for tier in tiers : tier if contains(keys(local._policy_files), tier.policy)]
  }
  _tiers = {
    for policy, above in local._above : policy => {
      # No share and no latency is as large: a tier without an upper neighbour has no upper end.
      below = length(above) > 0 ? local._thresholds[above[0].policy][above[0].threshold] : 1000000
      wait  = length(above) > 0 ? try(above[0].wait, "0s") : "0s"
    }
  }

  _shared = {
    by           = local._by
    metric_types = local._metric_types
    metrics      = local._metrics
    thresholds   = local._thresholds
    tiers        = local._tiers
  }
  _values = merge(local._texts, local._shared, { resource_filters = local._resource_filters, resources = local._resources })

  # In JSON a value stands inside a string: its quotes are escaped.
  _values_in_json = merge(
    { for name, text in local._texts : name => replace(jsonencode(text), "/^\"|\"$/", "") },
    local._shared,
    { resource_filters = { for name, text in local._resource_filters : name => replace(jsonencode(text), "/^\"|\"$/", "") } },
    { resources = { for name, text in local._resources : name => replace(jsonencode(text), "/^\"|\"$/", "") } },
  )
}

locals {
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
  _slos = {
    for key, path in local._slo_files :
    key => yamldecode(endswith(path, ".tftpl") ? templatefile(path, local._values) : file(path))
  }
  _saved_queries = {
    for key, path in local._saved_query_files :
    key => yamldecode(endswith(path, ".tftpl") ? templatefile(path, local._values) : file(path))
  }
  _log_metrics = {
    for key, path in local._log_metric_files :
    key => yamldecode(endswith(path, ".tftpl") ? templatefile(path, local._values) : file(path))
  }
}

# A marker `@uptime:<key>` stands for the id of an uptime check, which is known after apply only.
locals {
  _marker = "@uptime:[a-z0-9_-]+"

  _uptime_check_ids = merge(
    { for key, check in google_monitoring_uptime_check_config.uptime_checks : "@uptime:${key}" => check.uptime_check_id },
    { for key, id in local._calls.existing : "@uptime:${key}" => id },
  )

  # Of each policy every query and filter -> the same with ids in place of markers.
  _resolved = {
    for key, policy in local._policies : key => {
      for text in distinct(flatten([
        for condition in try(policy.conditions, []) : compact([
          try(condition.conditionAbsent.filter, ""),
          try(condition.conditionMatchedLog.filter, ""),
          try(condition.conditionPrometheusQueryLanguage.query, ""),
          try(condition.conditionThreshold.denominatorFilter, ""),
          try(condition.conditionThreshold.filter, ""),
        ])
      ])) :
      text => join("", [
        for piece in regexall("(?s)${local._marker}|[^@]+|@", text) : lookup(local._uptime_check_ids, piece, piece)
      ])
    }
  }
}
