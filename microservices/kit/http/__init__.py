"""HTTP in every service: the application, requests, problems, probes, metrics, faults."""
