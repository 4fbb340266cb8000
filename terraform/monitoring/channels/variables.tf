variable "channels" {
  description = "Channels whose secret is in `secrets`, by a key: `pagerduty` (empty), `slack` (`channel`, `team`) or `webhook` with a password (`url`, `username`). Raise `secret_version` when the secret changes: Terraform cannot see it."
  type = map(object({
    display_name   = optional(string)
    pagerduty      = optional(object({}))
    secret_version = optional(number, 1)
    slack          = optional(object({ channel = string, team = string }))
    webhook        = optional(object({ url = string, username = string }))
  }))
  nullable = false

  validation {
    condition = alltrue([
      for channel in values(var.channels) :
      length([for kind in [channel.pagerduty, channel.slack, channel.webhook] : 1 if kind != null]) == 1
    ])
    error_message = "channels: write exactly one of pagerduty = {}, slack = {...} or webhook = {...} for each channel."
  }

  validation {
    condition     = alltrue([for channel in values(var.channels) : channel.slack == null ? true : startswith(channel.slack.channel, "#")])
    error_message = "channels: write slack.channel with its #, such as \"#on-call\", and slack.team as the workspace's name."
  }

  validation {
    # A token in the address would stand in the state and in every plan.
    condition     = alltrue([for channel in values(var.channels) : channel.webhook == null ? true : can(regex("^https://[^@?\\s]+$", channel.webhook.url))])
    error_message = "channels: write webhook.url as an https:// address without user, password and query; its password belongs into secrets."
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
