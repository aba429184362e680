"""Events between services: their types and envelope, outbox and relay, consumer, delivery and inbox."""
