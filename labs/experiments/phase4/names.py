"""The services, topics and groups of phase 4, as its experiments name them."""

from __future__ import annotations

HTTP, KAFKA = "HTTP", "Kafka"
"""The two designs: a service that calls the next one and waits, and one that publishes an event."""

ORDERS, PAYMENTS = "order-service", "payment-service"

ORDERS_GROUP, PAYMENTS_GROUP = f"{ORDERS}-group", f"{PAYMENTS}-group"
"""Their consumer groups."""

CREATED, PAID, CONFIRMED = "order-created", "payment-completed", "order-confirmed"
"""The topics of an order's first event, of its payment, and of its last event."""
