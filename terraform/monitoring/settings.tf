# Variables that are objects, with what holds where they say nothing. Their type is `any`, since Terraform drops an
# attribute that an object type does not have without a word; so their validations tell it instead.

locals {
  _channel_settings = {
    for key, given in var.channels : key => merge(
      { email = null, google_chat = null, grant_publisher = true, pubsub = null, sms = null },
      { for name, value in given : name => value if value != null },
    )
  }

  _iam = merge(
    { features = ["metrics", "traces"], service_account = null },
    { for name, value in var.iam : name => value if value != null },
  )

  _logs = merge(
    { archive = null, debug_kept = 1, filter = null, requests_below_400 = true },
    { for name, value in var.logs : name => value if value != null && name != "bucket" },
    {
      bucket = try(var.logs.bucket, null) == null ? null : merge(
        { analytics = false, id = null, kms_key = null, location = "global", retention_days = 30 },
        { for name, value in var.logs.bucket : name => value if value != null },
      )
    },
  )

  _names = merge(
    { backend = null, container = null, database = null, kubernetes_namespace = null, run_service = null },
    { for name, value in var.resources : name => value if value != null },
  )

  _calls = merge(
    { access = "public", enabled = true, existing = {}, period = null, regions = null },
    { for name, value in var.uptime_checks : name => value if value != null },
  )
}
