variable "disabled_policies" {
  description = "Policies that are not created: file names of `policies/` without their ending."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for key in var.disabled_policies : length(fileset("${path.module}/policies", "${key}.{yaml,yaml.tftpl}")) == 1
    ])
    error_message = "disabled_policies: write names of files in policies/ without their ending, such as \"high_error_rate\"."
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

variable "location" {
  description = "Region of the service on Cloud Run, location of its cluster on GKE. The dashboard shows logs of this location."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+(-[a-z])?$", var.location))
    error_message = "location: write a region, or the zone of a cluster, such as \"europe-west1\"."
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

variable "routes" {
  description = "Who is told: priority (`p1` to `p4`) -> team -> names of notification channels; `default` stands for any priority, or any team. An empty list tells nobody on purpose. Without routes incidents open and nobody is told."
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
      can(regex("^projects/[^/]+/notificationChannels/[^/]+$", channel))
    ])
    error_message = "routes: write channels by their names, projects/PROJECT/notificationChannels/ID, such as google_monitoring_notification_channel.mail.name."
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

variable "service" {
  description = "Name of the service, the same as its setting `SERVICE_NAME` (on Cloud Run: the service's name)."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", var.service))
    error_message = "service: write lower-case letters, digits and hyphens, beginning with a letter, such as \"items\"."
  }
}
