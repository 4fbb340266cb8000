"""The page in the browser: dashboards, log entries, incidents, policies, notifications."""
