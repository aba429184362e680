"""`PORT=3001 python -m microservices.user_service [VERSION]`."""

from microservices.kit.main import main
from microservices.user_service.settings import UserSettings

main("microservices.user_service", port=3001, versions=("1", "2"), settings=UserSettings)
