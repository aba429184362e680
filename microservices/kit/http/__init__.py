"""HTTP, as every service speaks it: the application, requests, problems, probes, metrics, faults."""
