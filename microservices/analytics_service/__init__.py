"""analytics-service: what the shop has sold. Version 1 keeps a view of every event there ever was."""
