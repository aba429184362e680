"""`PORT=3006 python -m microservices.notification_service [VERSION]`."""

from microservices.kit.main import main

main("microservices.notification_service", port=3006, versions=("1",))
