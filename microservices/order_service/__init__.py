"""order-service: takes orders.

Version 1 calls payment-service and waits for its answer; version 2 tells an event, and hears of the
payment by another one.
"""
