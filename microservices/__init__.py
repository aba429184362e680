"""The services of the course. Each runs alone: `PORT=3002 python -m microservices.order_service`."""
