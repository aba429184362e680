"""order-service: takes orders. Version 1 calls payment-service and waits for its answer."""
