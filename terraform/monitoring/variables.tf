variable "catalogues" {
  description = "Paths of further metric catalogues in the shape of `catalogue.json`: their metrics are known to templates as `$${metrics.<name>}`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for path in var.catalogues : can(keys(jsondecode(file(path)).metrics))])
    error_message = "catalogues: write paths of JSON files that hold an object \"metrics\", such as \"$${path.root}/metrics.json\"."
  }
}

variable "channels" {
  description = "Channels to make, by a key that `routes` uses; each says one of `email`, `google_chat` (`spaces/ID`), `pubsub` (`projects/PROJECT/topics/TOPIC`) or `sms`. Channels that need a secret are made by the module `channels/`."
  # map(object({
  #   email           = optional(string)
  #   google_chat     = optional(string)
  #   grant_publisher = optional(bool, true)
  #   pubsub          = optional(string)
  #   sms             = optional(string)
  # }))
  type     = any
  default  = {}
  nullable = false

  validation {
    condition = can(keys(var.channels)) && alltrue([
      for channel in try(values(var.channels), []) :
      can(keys(channel)) && length(setsubtract(try(keys(channel), []), ["email", "google_chat", "grant_publisher", "pubsub", "sms"])) == 0
    ])
    error_message = "channels: unknown ${join(", ", setsubtract(flatten([for channel in try(values(var.channels), []) : try(keys(channel), [])]), ["email", "google_chat", "grant_publisher", "pubsub", "sms"]))}; a channel takes email, google_chat, grant_publisher, pubsub and sms."
  }

  validation {
    condition = alltrue([
      for channel in try(values(var.channels), []) :
      length([for kind in ["email", "google_chat", "pubsub", "sms"] : kind if try(channel[kind], null) != null]) == 1
    ])
    error_message = "channels: write exactly one of email, google_chat, pubsub or sms for each channel; Slack, PagerDuty and webhooks with a password need the module channels/."
  }

  validation {
    condition     = alltrue([for key in try(keys(var.channels), []) : can(regex("^[a-z][a-z0-9_-]*$", key))])
    error_message = "channels: write keys of lower-case letters, digits, hyphens and underscores, such as \"on-call\"."
  }

  validation {
    condition = alltrue(flatten([for channel in try(values(var.channels), []) : [
      try(channel.email, null) == null || can(regex("^[^@\\s]+@[^@\\s]+$", channel.email)),
      try(channel.google_chat, null) == null || can(regex("^spaces/[A-Za-z0-9_-]+$", channel.google_chat)),
      try(channel.pubsub, null) == null || can(regex("^projects/[^/]+/topics/[^/]+$", channel.pubsub)),
      try(channel.sms, null) == null || can(regex("^[+][0-9]{6,15}$", channel.sms)),
      try(channel.grant_publisher, null) == null || can(tobool(channel.grant_publisher)),
    ]]))
    error_message = "channels: write email as name@example.com, google_chat as spaces/ID, pubsub as projects/PROJECT/topics/TOPIC, sms as +491701234567 and grant_publisher as true or false."
  }
}

variable "dashboards" {
  description = "Which dashboards there are: `all`, names of files in `dashboards/` without their ending, `-name` to leave one out; the last word about a dashboard counts."
  type        = list(string)
  default     = ["all"]
  nullable    = false

  validation {
    condition = alltrue([
      for word in var.dashboards :
      contains(["all", "-all"], word) || length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "dashboards/${trimprefix(word, "-")}.{json,json.tftpl}")])) > 0
    ])
    error_message = "dashboards: write \"all\", or names of files in dashboards/ without their ending, with a hyphen before those to leave out; there is no ${join(", ", [for word in var.dashboards : word if !contains(["all", "-all"], word) && length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "dashboards/${trimprefix(word, "-")}.{json,json.tftpl}")])) == 0])}."
  }
}

variable "directories" {
  description = "Folders of your own files, laid out as this module: `policies/`, `dashboards/`, `uptime_checks/`, `slos/`, `log_metrics/`, `saved_queries/`. Your files are on; one with the name of ours replaces it. Later folders win."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for folder in var.directories :
      length(fileset(folder, "{policies,dashboards,uptime_checks,slos,log_metrics,saved_queries}/*.{yaml,json,yaml.tftpl,json.tftpl}")) > 0
    ])
    error_message = "directories: write folders that hold policies/, dashboards/, uptime_checks/, slos/, log_metrics/ or saved_queries/ with files in them, such as \"$${path.root}/monitoring\"."
  }
}

variable "environment" {
  description = "Environment of the service, the same as its setting `ENVIRONMENT`. Part of every name, and of every query."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.environment))
    error_message = "environment: write lower-case letters, digits and hyphens, beginning with a letter, such as \"production\"."
  }
}

variable "host" {
  description = "Host name under which users reach the service; the uptime checks call it. It may become known during apply."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?[.])+[a-z]([a-z0-9-]*[a-z0-9])?$", var.host))
    error_message = "host: write a host name without https://, port and path, such as \"items-123456789012.europe-west1.run.app\"."
  }
}

variable "iam" {
  description = "Roles for the service: `service_account` is the e-mail address it runs as (nobody gets a role without it), `features` what it sends itself: `errors`, `logs`, `metrics`, `telemetry` (spans over OTLP) or `traces`. Services that share an account, and one project, are granted its roles once: see README."
  # object({
  #   features        = optional(set(string), ["metrics", "traces"])
  #   service_account = optional(string)
  # })
  type     = any
  default  = {}
  nullable = false

  validation {
    condition     = can(keys(var.iam)) && length(setsubtract(try(keys(var.iam), []), ["features", "service_account"])) == 0
    error_message = "iam: unknown ${join(", ", setsubtract(try(keys(var.iam), []), ["features", "service_account"]))}; it takes features and service_account."
  }

  validation {
    condition = try(var.iam.features, null) == null ? true : can(toset(var.iam.features)) && alltrue([
      for feature in try(toset(var.iam.features), []) : contains(["errors", "logs", "metrics", "telemetry", "traces"], feature)
    ])
    error_message = "iam: write features as a set of \"errors\", \"logs\", \"metrics\", \"telemetry\" and \"traces\"."
  }

  validation {
    condition     = try(var.iam.service_account, null) == null || can(regex("^[^@:\\s]+@[^@\\s]+$", var.iam.service_account))
    error_message = "iam: write service_account as an e-mail address without \"serviceAccount:\", such as \"items@my-project-123.iam.gserviceaccount.com\"."
  }
}

variable "location" {
  description = "Region of the service on Cloud Run, location of its cluster on GKE: where Monitoring may call a private service, and `$${location}` in templates. Of several `regions` one."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+(-[a-z])?$", var.location))
    error_message = "location: write a region, or the zone of a cluster, such as \"europe-west1\"."
  }
}

variable "log_metrics" {
  description = "Which log-based metrics there are: `all`, names of files in `log_metrics/`, `-name` to leave one out; the last word counts."
  type        = list(string)
  default     = ["all"]
  nullable    = false

  validation {
    condition = alltrue([
      for word in var.log_metrics :
      contains(["all", "-all"], word) || length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "log_metrics/**/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) > 0
    ])
    error_message = "log_metrics: write \"all\", or names of files in log_metrics/ without their ending, with a hyphen before those to leave out; there is no ${join(", ", [for word in var.log_metrics : word if !contains(["all", "-all"], word) && length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "log_metrics/**/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) == 0])}."
  }
}

variable "logs" {
  description = "Where the service's log entries are kept. `bucket`: a log bucket of its own, made here or an existing one by `id`, instead of `_Default`. `archive`: a copy of every entry. `debug_kept`: the share of DEBUG entries that is kept. `requests_below_400`: whether the platform's request logs of successes are kept. `filter`: what the service's entries are, where it is not the service's name alone."
  # object({
  #   archive = optional(object({ destination = string }))
  #   bucket = optional(object({
  #     analytics      = optional(bool, false)
  #     id             = optional(string)
  #     kms_key        = optional(string)
  #     location       = optional(string, "global")
  #     retention_days = optional(number, 30)
  #   }))
  #   debug_kept         = optional(number, 1)
  #   filter             = optional(string)
  #   requests_below_400 = optional(bool, true)
  # })
  type     = any
  default  = {}
  nullable = false

  validation {
    condition     = can(keys(var.logs)) && length(setsubtract(try(keys(var.logs), []), ["archive", "bucket", "debug_kept", "filter", "requests_below_400"])) == 0
    error_message = "logs: unknown ${join(", ", setsubtract(try(keys(var.logs), []), ["archive", "bucket", "debug_kept", "filter", "requests_below_400"]))}; it takes archive, bucket, debug_kept, filter and requests_below_400."
  }

  validation {
    condition     = try(var.logs.bucket, null) == null ? true : can(keys(var.logs.bucket)) && length(setsubtract(try(keys(var.logs.bucket), []), ["analytics", "id", "kms_key", "location", "retention_days"])) == 0
    error_message = "logs: unknown ${join(", ", setsubtract(try(keys(var.logs.bucket), []), ["analytics", "id", "kms_key", "location", "retention_days"]))} in bucket; it takes analytics, id, kms_key, location and retention_days."
  }

  validation {
    condition     = try(var.logs.archive, null) == null ? true : can(var.logs.archive.destination) && length(setsubtract(try(keys(var.logs.archive), []), ["destination"])) == 0
    error_message = "logs: write archive as { destination = \"...\" } and nothing else."
  }

  validation {
    condition = try(var.logs.bucket.retention_days, null) == null ? true : try(
      var.logs.bucket.retention_days >= 1 && var.logs.bucket.retention_days <= 3650 && floor(var.logs.bucket.retention_days) == tonumber(var.logs.bucket.retention_days),
      false,
    )
    error_message = "logs: write bucket.retention_days as a whole number of days from 1 to 3650."
  }

  validation {
    condition = try(var.logs.bucket.id, null) == null || can(regex("^projects/[^/]+/locations/[^/]+/buckets/[^/]+$", var.logs.bucket.id))
    # A bucket that exists keeps its own settings.
    error_message = "logs: write bucket.id as projects/PROJECT/locations/LOCATION/buckets/BUCKET."
  }

  validation {
    condition     = try(var.logs.bucket.kms_key, null) == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.logs.bucket.kms_key))
    error_message = "logs: write bucket.kms_key as projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY."
  }

  validation {
    condition     = try(var.logs.archive, null) == null ? true : can(regex("^(storage|bigquery|pubsub|logging)[.]googleapis[.]com/.+$", var.logs.archive.destination))
    error_message = "logs: write archive.destination as storage.googleapis.com/BUCKET, bigquery.googleapis.com/projects/PROJECT/datasets/DATASET, pubsub.googleapis.com/projects/PROJECT/topics/TOPIC or logging.googleapis.com/projects/PROJECT/locations/LOCATION/buckets/BUCKET."
  }

  validation {
    condition     = try(var.logs.debug_kept, null) == null ? true : try(var.logs.debug_kept >= 0 && var.logs.debug_kept <= 1, false)
    error_message = "logs: write debug_kept as a share from 0 (none) to 1 (all), such as 0.1."
  }

  validation {
    condition = alltrue([
      for value in [try(var.logs.requests_below_400, null), try(var.logs.bucket.analytics, null)] : value == null || can(tobool(value))
    ])
    error_message = "logs: write requests_below_400 and bucket.analytics as true or false."
  }

  validation {
    condition     = try(var.logs.filter, null) == null || try(trimspace(var.logs.filter) != "", false)
    error_message = "logs: write filter in Cloud Logging's query language, or leave it out."
  }
}

variable "metrics_domain" {
  description = "Domain of the service's metrics, the same as its setting `METRICS_DOMAIN`: `prometheus`, `custom` or `workload`."
  type        = string
  default     = "prometheus"
  nullable    = false

  validation {
    condition     = contains(["prometheus", "custom", "workload"], var.metrics_domain)
    error_message = "metrics_domain: write \"prometheus\", \"custom\" or \"workload\"."
  }
}

variable "metrics_namespace" {
  description = "Path before each metric's name in the domains `custom` and `workload`, the same as `METRICS_NAMESPACE`."
  type        = string
  default     = "cloudops"
  nullable    = false

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9_]{0,62}$", var.metrics_namespace))
    error_message = "metrics_namespace: write letters, digits and underscores, beginning with a letter, such as \"cloudops\"."
  }
}

variable "platform" {
  description = "Where the service runs: `cloud_run` or `gke`. Policies of the platform's own metrics, and log filters, follow it."
  type        = string
  default     = "cloud_run"
  nullable    = false

  validation {
    condition     = contains(["cloud_run", "gke"], var.platform)
    error_message = "platform: write \"cloud_run\" or \"gke\"."
  }
}

variable "policies" {
  description = "Which alert policies there are: `default` (the list in `defaults.yaml`), `all`, names of files in `policies/`, `-name` to leave one out; the last word about a policy counts."
  type        = list(string)
  default     = ["default"]
  nullable    = false

  validation {
    condition = alltrue([
      for word in var.policies :
      contains(["all", "-all", "default", "-default"], word) || length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "policies/**/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) > 0
    ])
    error_message = "policies: write \"default\", \"all\", or names of files in policies/ without their ending, such as \"queue_age\", with a hyphen before those to leave out; there is no ${join(", ", [for word in var.policies : word if !contains(["all", "-all", "default", "-default"], word) && length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "policies/**/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) == 0])}."
  }
}

variable "project" {
  description = "Id of the project that holds the metrics, and gets the policies, dashboards and uptime checks."
  type        = string
  nullable    = false

  validation {
    # Google's ids have 6 to 30 characters; the emulator's own project is called "demo".
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{2,28}[a-z0-9]$", var.project))
    error_message = "project: write the project's id, neither its number nor its display name, such as \"my-project-123\"."
  }
}

variable "project_number" {
  description = "Number of the project. Needed where Monitoring's own service account gets a role: for private uptime checks and Pub/Sub channels."
  type        = string
  default     = null

  validation {
    condition     = var.project_number == null || can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number: write the project's number, such as \"123456789012\" (gcloud projects describe PROJECT)."
  }
}

variable "regions" {
  description = "Regions in which the service runs, when they are several: ratios are then told apart by location."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for region in var.regions : can(regex("^[a-z]+-[a-z]+[0-9]+$", region))])
    error_message = "regions: write regions, such as [\"europe-west1\", \"us-central1\"]."
  }

  validation {
    condition     = length(var.regions) == 0 || anytrue([for region in var.regions : startswith(var.location, region)])
    error_message = "regions: write all regions, the one of `location` among them."
  }
}

variable "resources" {
  description = "Names under which the platform knows the service, where they are not `service` and `environment`: the Cloud Run service, the container and namespace on GKE, the load balancer's backends there (a regular expression), the Cloud SQL database (`PROJECT:INSTANCE`)."
  # object({
  #   backend              = optional(string)
  #   container            = optional(string)
  #   database             = optional(string)
  #   kubernetes_namespace = optional(string)
  #   run_service          = optional(string)
  # })
  type     = any
  default  = {}
  nullable = false

  validation {
    condition     = can(keys(var.resources)) && length(setsubtract(try(keys(var.resources), []), ["backend", "container", "database", "kubernetes_namespace", "run_service"])) == 0
    error_message = "resources: unknown ${join(", ", setsubtract(try(keys(var.resources), []), ["backend", "container", "database", "kubernetes_namespace", "run_service"]))}; it takes backend, container, database, kubernetes_namespace and run_service."
  }

  validation {
    condition     = alltrue([for text in try(values(var.resources), []) : text == null || can(regex("^[^\"\\\\\\s]+$", text))])
    error_message = "resources: write names without spaces, quotes and backslashes."
  }

  validation {
    condition     = try(var.resources.database, null) == null || can(regex("^[^:\"]+:[^:\"]+$", var.resources.database))
    error_message = "resources: write database as PROJECT:INSTANCE."
  }
}

variable "routes" {
  description = "Who is told: priority (`p1` to `p4`) -> team -> channels, each the name of an existing one or a key of `channels`; `default` stands for any priority, or any team. An empty list tells nobody on purpose. Without routes incidents open and nobody is told."
  type        = map(map(list(string)))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for priority in keys(var.routes) : contains(["p1", "p2", "p3", "p4", "default"], priority)])
    error_message = "routes: the first level names priorities; write p1, p2, p3, p4 or default."
  }

  validation {
    condition = alltrue([
      for channel in flatten([for teams in values(var.routes) : values(teams)]) :
      contains(keys(var.channels), channel) || can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))
    ])
    error_message = "routes: write channels by their names, projects/PROJECT/notificationChannels/ID, such as google_monitoring_notification_channel.mail.name, or by a key of `channels`."
  }
}

variable "runbook_base_url" {
  description = "Address below which the runbooks stand; a policy's runbook is `<address>/<policy>.md`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^https://[^\\s\"]*[^\\s\"/]$", var.runbook_base_url))
    error_message = "runbook_base_url: write an https:// address without a slash at its end, such as \"https://example.com/runbooks\"."
  }
}

variable "saved_queries" {
  description = "Which queries for Logs Explorer the output `saved_queries` has: `all`, names of files in `saved_queries/`, `-name` to leave one out; the last word counts."
  type        = list(string)
  default     = ["all"]
  nullable    = false

  validation {
    condition = alltrue([
      for word in var.saved_queries :
      contains(["all", "-all"], word) || length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "saved_queries/**/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) > 0
    ])
    error_message = "saved_queries: write \"all\", or names of files in saved_queries/ without their ending, with a hyphen before those to leave out; there is no ${join(", ", [for word in var.saved_queries : word if !contains(["all", "-all"], word) && length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "saved_queries/**/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) == 0])}."
  }
}

variable "service" {
  description = "Name of the service, the same as its setting `SERVICE_NAME` (on Cloud Run: the service's name)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.service))
    error_message = "service: write lower-case letters, digits and hyphens, beginning with a letter, such as \"items\"."
  }
}

variable "slo_service" {
  description = "Id of an existing service in Monitoring (`projects/PROJECT/services/ID`) that gets the objectives; otherwise one is made."
  type        = string
  default     = null

  validation {
    condition     = var.slo_service == null || can(regex("^projects/[^/]+/services/[^/]+$", var.slo_service))
    error_message = "slo_service: write projects/PROJECT/services/ID, the `name` in what https://monitoring.googleapis.com/v3/projects/PROJECT/services answers."
  }
}

variable "slos" {
  description = "Which objectives there are, for display: `all`, names of files in `slos/`, `-name` to leave one out. An empty list makes none: burn-rate alerts do not need them."
  type        = list(string)
  default     = ["all"]
  nullable    = false

  validation {
    condition = alltrue([
      for word in var.slos :
      contains(["all", "-all"], word) || length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "slos/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) > 0
    ])
    error_message = "slos: write \"all\", or names of files in slos/ without their ending, with a hyphen before those to leave out; there is no ${join(", ", [for word in var.slos : word if !contains(["all", "-all"], word) && length(flatten([for folder in concat([path.module], var.directories) : fileset(folder, "slos/${trimprefix(word, "-")}.{yaml,yaml.tftpl}")])) == 0])}."
  }
}

variable "thresholds" {
  description = "Thresholds in place of those in `defaults.yaml`: policy -> name -> number."
  type        = map(map(number))
  default     = {}
  nullable    = false

  validation {
    condition = alltrue(flatten([for policy, values in var.thresholds : [
      for name in keys(values) : can(yamldecode(file("${path.module}/defaults.yaml")).thresholds[policy][name])
    ]]))
    error_message = "thresholds: write policies and names that defaults.yaml has, such as { high_error_rate = { ratio = 0.1 } }; it does not have ${join(", ", flatten([for policy, values in var.thresholds : [for name in keys(values) : "${policy}.${name}" if !can(yamldecode(file("${path.module}/defaults.yaml")).thresholds[policy][name])]]))}."
  }

  validation {
    # 5 for 5 % would be a policy that never fires.
    condition     = alltrue(flatten([for policy, values in var.thresholds : [for name, value in values : value >= 0 && (value < 1 || !can(regex("(ratio|goal)$", name)))]]))
    error_message = "thresholds: write shares (ratio, goal) from 0 to below 1, such as 0.05 for 5 %, and no number below 0; look at ${join(", ", flatten([for policy, values in var.thresholds : [for name, value in values : "${policy}.${name}" if value < 0 || (value >= 1 && can(regex("(ratio|goal)$", name)))]]))}."
  }
}

variable "uptime_checks" {
  description = "How the service is called from outside. `access`: `public`, `private` (the calls carry an identity token, and Monitoring may invoke the service) or `internal` (nobody outside can call it: see README). `enabled = false` makes no checks and no policies that need them. `existing`: key -> id of checks that exist. `period` and `regions` in place of the files' own."
  # object({
  #   access   = optional(string, "public")
  #   enabled  = optional(bool, true)
  #   existing = optional(map(string), {})
  #   period   = optional(string)
  #   regions  = optional(set(string))
  # })
  type     = any
  default  = {}
  nullable = false

  validation {
    condition     = can(keys(var.uptime_checks)) && length(setsubtract(try(keys(var.uptime_checks), []), ["access", "enabled", "existing", "period", "regions"])) == 0
    error_message = "uptime_checks: unknown ${join(", ", setsubtract(try(keys(var.uptime_checks), []), ["access", "enabled", "existing", "period", "regions"]))}; it takes access, enabled, existing, period and regions."
  }

  validation {
    condition     = try(var.uptime_checks.access, null) == null || try(contains(["public", "private", "internal"], var.uptime_checks.access), false)
    error_message = "uptime_checks: write access as \"public\", \"private\" or \"internal\"."
  }

  validation {
    condition     = try(var.uptime_checks.enabled, null) == null || can(tobool(var.uptime_checks.enabled))
    error_message = "uptime_checks: write enabled as true or false."
  }

  validation {
    condition     = try(var.uptime_checks.existing, null) == null || try(alltrue([for id in values(var.uptime_checks.existing) : can(regex("^[A-Za-z0-9_-]+$", id))]), false)
    error_message = "uptime_checks: write existing as key -> id, the last part of projects/PROJECT/uptimeCheckConfigs/ID."
  }

  validation {
    condition     = try(var.uptime_checks.period, null) == null || try(contains(["60s", "300s", "600s", "900s"], var.uptime_checks.period), false)
    error_message = "uptime_checks: write period as \"60s\", \"300s\", \"600s\" or \"900s\"."
  }

  validation {
    condition = try(var.uptime_checks.regions, null) == null ? true : try(
      length(setsubtract(var.uptime_checks.regions, ["ASIA_PACIFIC", "EUROPE", "SOUTH_AMERICA", "USA", "USA_IOWA", "USA_OREGON", "USA_VIRGINIA"])) == 0 &&
      sum(concat([0], [for region in toset(var.uptime_checks.regions) : region == "USA" ? 3 : 1])) >= 3,
      false,
    )
    error_message = "uptime_checks: write at least three of ASIA_PACIFIC, EUROPE, SOUTH_AMERICA, USA_IOWA, USA_OREGON and USA_VIRGINIA as regions; USA stands for its three."
  }
}
