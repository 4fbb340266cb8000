output "channels" {
  description = "Names of the channels (`projects/PROJECT/notificationChannels/ID`), by their keys; the main module's `routes` takes them."
  value       = { for key, channel in google_monitoring_notification_channel.channels : key => channel.name }
}
