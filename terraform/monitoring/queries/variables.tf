variable "location" {
  description = "Where the queries are kept: `global` or a region."
  type        = string
  default     = "global"
  nullable    = false

  validation {
    condition     = can(regex("^(global|[a-z]+(-[a-z]+[0-9]+)?)$", var.location))
    error_message = "location: write \"global\" or a region, such as \"europe-west1\"."
  }
}

variable "project" {
  description = "Id of the project whose Logs Explorer lists the queries."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{2,28}[a-z0-9]$", var.project))
    error_message = "project: write the project's id, neither its number nor its display name, such as \"my-project-123\"."
  }
}

variable "saved_queries" {
  description = "The output `saved_queries` of the main module."
  # map(object({ id = string, query = any }))
  type     = any
  nullable = false

  validation {
    condition     = can(keys(var.saved_queries)) && alltrue([for one in try(values(var.saved_queries), []) : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", one.id)) && can(one.query.loggingQuery.filter)])
    error_message = "saved_queries: write the output of the main module, saved_queries = module.monitoring.saved_queries."
  }
}
