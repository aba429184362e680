"""The code that services share: settings, database, drain, logs, and the packages `http/` and `events/`.

Nothing here implements a business rule, and nothing here is needed to read one.
"""
