"""order-service: takes orders.

Version 1 calls payment-service and waits for its answer; version 2 publishes an event, and completes
the order when it consumes the event of its payment.
"""
