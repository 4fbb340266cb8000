# Every field that a saved query's file may use, by its name in the API.
resource "google_logging_saved_query" "queries" {
  for_each = var.saved_queries

  parent       = "projects/${var.project}"
  location     = var.location
  name         = each.value.id
  description  = try(each.value.query.description, null)
  display_name = each.value.query.displayName
  visibility   = each.value.query.visibility

  logging_query {
    filter              = trimspace(each.value.query.loggingQuery.filter)
    summary_field_end   = try(each.value.query.loggingQuery.summaryFieldEnd, null)
    summary_field_start = try(each.value.query.loggingQuery.summaryFieldStart, null)

    dynamic "summary_fields" {
      for_each = try(each.value.query.loggingQuery.summaryFields, [])
      iterator = summary
      content {
        field = summary.value.field
      }
    }
  }
}
