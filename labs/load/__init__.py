"""Load: requests on a schedule, bursts and plain calls, and what became of each."""
