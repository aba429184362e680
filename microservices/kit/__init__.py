"""What the services share: settings, problems, probes, logs, metrics, draining, faults, the database.

Nothing here knows a business rule, and nothing here is needed to read one.
"""
