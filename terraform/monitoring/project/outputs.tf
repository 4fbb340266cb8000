output "apis" {
  description = "APIs that are enabled now."
  value       = toset([for api in google_project_service.apis : api.service])
}

output "log_buckets" {
  description = "Ids of the log buckets (`projects/PROJECT/locations/LOCATION/buckets/BUCKET`), by their keys."
  value       = { for key, bucket in google_logging_project_bucket_config.buckets : key => bucket.id }
}

output "log_destinations" {
  description = "The same buckets as destinations of sinks, by their keys."
  value       = { for key, bucket in google_logging_project_bucket_config.buckets : key => "logging.googleapis.com/${bucket.id}" }
}

output "metric_types" {
  description = "Metric types that have descriptors now."
  value       = toset([for descriptor in google_monitoring_metric_descriptor.metrics : descriptor.type])
}
