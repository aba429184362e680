"""api-gateway: the one front door. It routes, aggregates, and refuses early."""
