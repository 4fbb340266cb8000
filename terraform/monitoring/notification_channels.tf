# Channels that need no secret, and who is told.

locals {
  _channel_types = {
    email       = "email_address"
    google_chat = "space"
    pubsub      = "topic"
    sms         = "number"
  }

  # The first of these that `routes` holds.
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
  _channel_names = { for key, channel in google_monitoring_notification_channel.channels : key => channel.name }
  _channels      = { for key, found in local._routes : key => [for channel in try(found[0], []) : lookup(local._channel_names, channel, channel)] }

  # userLabels.renotify is how often an open incident is told again; it needs somebody to tell.
  _renotified = {
    for key, policy in local._policies : key => [
      for interval in compact([try(policy.userLabels.renotify, "")]) : interval if length(try(local._routes[key][0], [])) > 0
    ]
  }
  _strategies = {
    for key, policy in local._policies : key => try([policy.alertStrategy], length(local._renotified[key]) > 0 ? [{}] : [])
  }
}

resource "google_monitoring_notification_channel" "channels" {
  for_each = local._channel_settings

  project      = var.project
  display_name = "${each.key} of ${var.service}-${var.environment}"
  type         = [for type in keys(local._channel_types) : type if each.value[type] != null][0]
  labels       = { for type, label in local._channel_types : label => each.value[type] if each.value[type] != null }
  user_labels  = { environment = var.environment, service = var.service }

  lifecycle {
    # The API refuses to delete a channel that a policy names: the policies move to the new one first.
    create_before_destroy = true
  }
}
