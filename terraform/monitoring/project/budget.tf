resource "google_billing_budget" "project" {
  count = var.budget == null ? 0 : 1

  billing_account = local._budget.billing_account
  display_name    = "${var.project} a month"

  amount {
    specified_amount {
      currency_code = local._budget.currency
      units         = tostring(local._budget.amount)
    }
  }

  budget_filter {
    projects = ["projects/${var.project_number}"]
  }

  dynamic "threshold_rules" {
    for_each = sort(distinct([for share in local._budget.alerts : format("%08.4f", share)]))
    iterator = share
    content {
      threshold_percent = tonumber(share.value)
    }
  }

  dynamic "threshold_rules" {
    for_each = tobool(local._budget.forecast) ? [1] : []
    iterator = share
    content {
      spend_basis       = "FORECASTED_SPEND"
      threshold_percent = share.value
    }
  }

  dynamic "all_updates_rule" {
    for_each = length(local._budget.channels) > 0 ? [local._budget.channels] : []
    iterator = told
    content {
      monitoring_notification_channels = told.value
    }
  }
}
