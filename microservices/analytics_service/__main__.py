"""`PORT=3005 python -m microservices.analytics_service [VERSION]`."""

from microservices.kit.main import main

main("microservices.analytics_service", port=3005, versions=("1",))
