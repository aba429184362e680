"""api-gateway: the one front door. Routes, aggregates, and says no in good time."""
