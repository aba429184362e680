"""analytics-service: what the shop has sold. Version 1 keeps totals over all events."""
