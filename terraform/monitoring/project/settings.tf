# Variables that are objects, with what holds where they say nothing. Their type is `any`, since Terraform drops an
# attribute that an object type does not have without a word; so their validations tell it instead.

locals {
  _budget = var.budget == null ? null : merge(
    { alerts = [0.5, 0.9, 1], channels = [], currency = null, forecast = true },
    { for name, value in var.budget : name => value if value != null },
  )

  _described = var.descriptors == null ? null : merge(
    { domain = "custom", namespaces = ["cloudops"] },
    { for name, value in var.descriptors : name => value if value != null },
  )

  _log_buckets = {
    for id, given in var.log_buckets : id => merge(
      { description = null, kms_key = null, location = "global", locked = false, retention_days = 400 },
      { for name, value in given : name => value if value != null },
    )
  }
}
