"""Load: requests on a schedule, bursts and plain calls, with one row for each request."""
