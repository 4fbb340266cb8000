variable "channels" {
  description = "Channels whose secret is in `secrets`, by a key: `pagerduty` (empty), `slack` (`channel`, `team`) or `webhook` with a password (`url`, `username`). Raise `secret_version` when the secret changes: Terraform cannot see it."
  # map(object({
  #   display_name   = optional(string)
  #   pagerduty      = optional(object({}))
  #   secret_version = optional(number, 1)
  #   slack          = optional(object({ channel = string, team = string }))
  #   webhook        = optional(object({ url = string, username = string }))
  # }))
  type     = any
  nullable = false

  validation {
    condition = can(keys(var.channels)) && alltrue([
      for channel in try(values(var.channels), []) :
      can(keys(channel)) && length(setsubtract(try(keys(channel), []), ["display_name", "pagerduty", "secret_version", "slack", "webhook"])) == 0
    ])
    error_message = "channels: unknown ${join(", ", setsubtract(flatten([for channel in try(values(var.channels), []) : try(keys(channel), [])]), ["display_name", "pagerduty", "secret_version", "slack", "webhook"]))}; a channel takes display_name, pagerduty, secret_version, slack and webhook."
  }

  validation {
    condition = alltrue([
      for channel in try(values(var.channels), []) :
      length([for kind in ["pagerduty", "slack", "webhook"] : 1 if try(channel[kind], null) != null]) == 1
    ])
    error_message = "channels: write exactly one of pagerduty = {}, slack = {...} or webhook = {...} for each channel."
  }

  validation {
    condition = alltrue([
      for channel in try(values(var.channels), []) : alltrue([
        for kind, wanted in { pagerduty = [], slack = ["channel", "team"], webhook = ["url", "username"] } :
        try(channel[kind], null) == null ? true : can(keys(channel[kind])) && sort(try(keys(channel[kind]), [])) == sort(wanted)
      ])
    ])
    error_message = "channels: write pagerduty = {}, slack = { channel = \"#...\", team = \"...\" } or webhook = { url = \"https://...\", username = \"...\" }, and nothing else in them."
  }

  validation {
    condition     = alltrue([for channel in try(values(var.channels), []) : try(channel.slack, null) == null ? true : try(startswith(channel.slack.channel, "#"), false)])
    error_message = "channels: write slack.channel with its #, such as \"#on-call\", and slack.team as the workspace's name."
  }

  validation {
    # A token in the address would stand in the state and in every plan.
    condition     = alltrue([for channel in try(values(var.channels), []) : try(channel.webhook, null) == null ? true : can(regex("^https://[^@?\\s]+$", channel.webhook.url))])
    error_message = "channels: write webhook.url as an https:// address without user, password and query; its password belongs into secrets."
  }

  validation {
    condition = alltrue([
      for channel in try(values(var.channels), []) :
      try(channel.secret_version, null) == null || try(floor(channel.secret_version) == tonumber(channel.secret_version) && channel.secret_version >= 1, false)
    ])
    error_message = "channels: write secret_version as a whole number, one more whenever the secret changes."
  }
}

variable "project" {
  description = "Id of the project that gets the channels."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9.-]+:)?[a-z][a-z0-9-]{2,28}[a-z0-9]$", var.project))
    error_message = "project: write the project's id, neither its number nor its display name, such as \"my-project-123\"."
  }
}

variable "secrets" {
  description = "The secret of each channel, by the same keys: PagerDuty's integration key, Slack's token, the webhook's password. Feed it from an ephemeral resource, such as google_secret_manager_secret_version; it reaches neither state nor plan."
  type        = map(string)
  ephemeral   = true
  sensitive   = true
  nullable    = false
}
