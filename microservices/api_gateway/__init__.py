"""api-gateway: the one front door. It routes requests, aggregates responses, and limits the rate of clients."""
