locals {
  # The variable's type is `any`, since Terraform drops an attribute that an object type does not have without a word.
  _channels = {
    for key, given in var.channels : key => merge(
      { display_name = null, pagerduty = null, secret_version = 1, slack = null, webhook = null },
      { for name, value in given : name => value if value != null },
    )
  }
  _kinds = {
    for key, channel in local._channels : key =>
    channel.slack != null ? "slack" : channel.webhook != null ? "webhook_basicauth" : "pagerduty"
  }
  _labels = {
    for key, channel in local._channels : key => merge(
      channel.slack == null ? {} : { channel_name = channel.slack.channel, team = channel.slack.team },
      channel.webhook == null ? {} : { url = channel.webhook.url, username = channel.webhook.username },
    )
  }
}

resource "google_monitoring_notification_channel" "channels" {
  for_each = local._channels

  project      = var.project
  display_name = coalesce(each.value.display_name, each.key)
  type         = local._kinds[each.key]
  labels       = length(local._labels[each.key]) > 0 ? local._labels[each.key] : null

  # Each kind keeps its secret under a name of its own; what is written here is sent and forgotten.
  sensitive_labels {
    auth_token_wo          = local._kinds[each.key] == "slack" ? var.secrets[each.key] : null
    auth_token_wo_version  = local._kinds[each.key] == "slack" ? each.value.secret_version : null
    password_wo            = local._kinds[each.key] == "webhook_basicauth" ? var.secrets[each.key] : null
    password_wo_version    = local._kinds[each.key] == "webhook_basicauth" ? each.value.secret_version : null
    service_key_wo         = local._kinds[each.key] == "pagerduty" ? var.secrets[each.key] : null
    service_key_wo_version = local._kinds[each.key] == "pagerduty" ? each.value.secret_version : null
  }

  lifecycle {
    # The API refuses to delete a channel that a policy names: the policies move to the new one first.
    create_before_destroy = true
  }
}
