"""notification-service: notifies customers of how their orders ended. Here a notification is a row in a table."""
