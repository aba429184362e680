"""`env.kafka` and its page, on a real broker."""
