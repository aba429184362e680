"""Events, as every service exchanges them: their types, outbox and relay, consumer, delivery and inbox."""
