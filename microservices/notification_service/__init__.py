"""notification-service: tells customers how their orders ended. Here a message sent is a row in a table."""
