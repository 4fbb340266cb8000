resource "google_billing_budget" "project" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "${var.project} a month"

  amount {
    specified_amount {
      currency_code = var.budget.currency
      units         = tostring(var.budget.amount)
    }
  }

  budget_filter {
    projects = ["projects/${var.project_number}"]
  }

  dynamic "threshold_rules" {
    for_each = sort([for share in var.budget.alerts : format("%08.4f", share)])
    iterator = share
    content {
      threshold_percent = tonumber(share.value)
    }
  }

  dynamic "threshold_rules" {
    for_each = var.budget.forecast ? [1] : []
    iterator = share
    content {
      spend_basis       = "FORECASTED_SPEND"
      threshold_percent = share.value
    }
  }

  dynamic "all_updates_rule" {
    for_each = length(var.budget.channels) > 0 ? [var.budget.channels] : []
    iterator = told
    content {
      monitoring_notification_channels = told.value
    }
  }
}
