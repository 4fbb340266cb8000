output "saved_queries" {
  description = "Names of the queries (`projects/PROJECT/locations/LOCATION/savedQueries/ID`), by the names of their files."
  value       = { for key, query in google_logging_saved_query.queries : key => query.id }
}
