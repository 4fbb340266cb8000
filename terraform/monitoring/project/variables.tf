variable "apis" {
  description = "APIs to enable; the output `apis` of the main module names those that a service needs. They stay enabled when this module goes."
  type        = set(string)
  default     = ["logging.googleapis.com", "monitoring.googleapis.com"]
  nullable    = false

  validation {
    condition     = alltrue([for api in var.apis : can(regex("^[a-z][a-z0-9-]*[.]googleapis[.]com$", api))])
    error_message = "apis: write names of APIs, such as \"monitoring.googleapis.com\"."
  }
}

variable "budget" {
  description = "A budget for the project, off unless given: `amount` a month in whole units of `currency`, `alerts` the shares of it that are told, `channels` up to five names of notification channels. It needs rights on the billing account."
  # object({
  #   alerts          = optional(set(number), [0.5, 0.9, 1])
  #   amount          = number
  #   billing_account = string
  #   channels        = optional(list(string), [])
  #   currency        = optional(string)
  #   forecast        = optional(bool, true)
  # })
  type    = any
  default = null

  validation {
    condition     = var.budget == null ? true : can(keys(var.budget)) && length(setsubtract(try(keys(var.budget), []), ["alerts", "amount", "billing_account", "channels", "currency", "forecast"])) == 0
    error_message = "budget: unknown ${join(", ", setsubtract(try(keys(var.budget), []), ["alerts", "amount", "billing_account", "channels", "currency", "forecast"]))}; it takes alerts, amount, billing_account, channels, currency and forecast."
  }

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "budget: write billing_account as XXXXXX-XXXXXX-XXXXXX (gcloud billing accounts list)."
  }

  validation {
    condition     = var.budget == null ? true : try(var.budget.amount >= 1 && floor(var.budget.amount) == tonumber(var.budget.amount), false)
    error_message = "budget: write amount as a whole number of at least 1."
  }

  validation {
    condition = try(var.budget.channels, null) == null ? true : try(
      length(var.budget.channels) <= 5 && alltrue([for name in var.budget.channels : can(regex("^projects/[^/]+/notificationChannels/[^/]+$", name))]),
      false,
    )
    error_message = "budget: write channels as at most five names, projects/PROJECT/notificationChannels/ID."
  }

  validation {
    condition     = try(var.budget.alerts, null) == null ? true : try(alltrue([for share in var.budget.alerts : share > 0 && share <= 10]), false)
    error_message = "budget: write alerts as shares of the amount, such as [0.5, 0.9, 1]."
  }

  validation {
    condition     = try(var.budget.currency, null) == null || can(regex("^[A-Z]{3}$", var.budget.currency))
    error_message = "budget: write currency as the billing account's, such as \"EUR\", or leave it out."
  }

  validation {
    condition     = try(var.budget.forecast, null) == null || can(tobool(var.budget.forecast))
    error_message = "budget: write forecast as true or false."
  }

  validation {
    condition     = var.budget == null || var.project_number != null
    error_message = "budget: write project_number too; a budget names its project by its number."
  }
}

variable "catalogues" {
  description = "Paths of further metric catalogues, as the main module takes them; `descriptors` covers their metrics too."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for path in var.catalogues : can(keys(jsondecode(file(path)).metrics))])
    error_message = "catalogues: write paths of JSON files that hold an object \"metrics\", such as \"$${path.root}/metrics.json\"."
  }
}

variable "ci" {
  description = "Who applies the main module, and what it makes: member (`serviceAccount:...`, `principalSet:...`) -> any of `iam`, `logs`, `monitoring` and `plan` (read only)."
  type        = map(set(string))
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for member in keys(var.ci) : can(regex("^(serviceAccount|user|group|principal|principalSet):.+$", member))])
    error_message = "ci: write members with their kind, such as \"serviceAccount:deploy@my-project-123.iam.gserviceaccount.com\"."
  }

  validation {
    condition     = alltrue([for work in flatten([for works in values(var.ci) : tolist(works)]) : contains(["iam", "logs", "monitoring", "plan"], work)])
    error_message = "ci: write sets of \"iam\", \"logs\", \"monitoring\" and \"plan\"."
  }
}

variable "descriptors" {
  description = "Descriptors of the catalogue's metrics for the domains `custom` and `workload`, off unless given: `domain`, and the `namespaces` of the services (`METRICS_NAMESPACE`). The domain `prometheus` needs none. They stay when this module goes."
  # object({
  #   domain     = optional(string, "custom")
  #   namespaces = optional(set(string), ["cloudops"])
  # })
  type    = any
  default = null

  validation {
    condition     = var.descriptors == null ? true : can(keys(var.descriptors)) && length(setsubtract(try(keys(var.descriptors), []), ["domain", "namespaces"])) == 0
    error_message = "descriptors: unknown ${join(", ", setsubtract(try(keys(var.descriptors), []), ["domain", "namespaces"]))}; it takes domain and namespaces."
  }

  validation {
    condition     = try(var.descriptors.domain, null) == null || try(contains(["custom", "workload"], var.descriptors.domain), false)
    error_message = "descriptors: write domain as \"custom\" or \"workload\"."
  }

  validation {
    condition = try(var.descriptors.namespaces, null) == null ? true : try(
      alltrue([for name in var.descriptors.namespaces : can(regex("^[a-zA-Z][a-zA-Z0-9_]{0,62}$", name))]),
      false,
    )
    error_message = "descriptors: write namespaces of letters, digits and underscores, beginning with a letter."
  }
}

variable "log_buckets" {
  description = "Log buckets, by their ids; the main module takes the output `log_buckets` as `logs.bucket.id`, or `log_destinations` as `logs.archive.destination`. They stay with all they hold when this module goes. `locked` can never be undone."
  # map(object({
  #   description    = optional(string)
  #   kms_key        = optional(string)
  #   location       = optional(string, "global")
  #   locked         = optional(bool, false)
  #   retention_days = optional(number, 400)
  # }))
  type     = any
  default  = {}
  nullable = false

  validation {
    condition = can(keys(var.log_buckets)) && alltrue([
      for bucket in try(values(var.log_buckets), []) : can(keys(bucket)) && length(setsubtract(try(keys(bucket), []), ["description", "kms_key", "location", "locked", "retention_days"])) == 0
    ])
    error_message = "log_buckets: unknown ${join(", ", setsubtract(flatten([for bucket in try(values(var.log_buckets), []) : try(keys(bucket), [])]), ["description", "kms_key", "location", "locked", "retention_days"]))}; a bucket takes description, kms_key, location, locked and retention_days."
  }

  validation {
    condition     = alltrue([for id in try(keys(var.log_buckets), []) : can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", id))])
    error_message = "log_buckets: write ids of letters, digits, hyphens and underscores, such as \"archive\"."
  }

  validation {
    condition     = alltrue([for bucket in try(values(var.log_buckets), []) : try(bucket.locked, null) == null || can(tobool(bucket.locked))])
    error_message = "log_buckets: write locked as true or false."
  }

  validation {
    condition = alltrue([
      for bucket in try(values(var.log_buckets), []) : try(bucket.retention_days, null) == null || try(
        bucket.retention_days >= 1 && bucket.retention_days <= 3650 && floor(bucket.retention_days) == tonumber(bucket.retention_days),
        false,
      )
    ])
    error_message = "log_buckets: write retention_days as a whole number of days from 1 to 3650."
  }
}

variable "project" {
  description = "Id of the project."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{2,28}[a-z0-9]$", var.project))
    error_message = "project: write the project's id, neither its number nor its display name, such as \"my-project-123\"."
  }
}

variable "project_number" {
  description = "Number of the project; a budget needs it."
  type        = string
  default     = null

  validation {
    condition     = var.project_number == null || can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number: write the project's number, such as \"123456789012\" (gcloud projects describe PROJECT)."
  }
}
