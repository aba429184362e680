"""The side that does the work: one supervisor process per session, which owns all that the session started."""
