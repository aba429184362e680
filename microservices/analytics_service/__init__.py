"""analytics-service: what the shop has sold.

Version 1 keeps totals over all events. Version 2 keeps the state of each order, and windows in event time.
"""
