"""``PORT=3001 python -m microservices.user_service [VERSION]``."""

from microservices.kit.main import main

main("microservices.user_service", port=3001, versions=("1", "2"))
