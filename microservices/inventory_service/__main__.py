"""`PORT=3004 python -m microservices.inventory_service [VERSION]`."""

from microservices.inventory_service.settings import InventorySettings
from microservices.kit.main import main

main("microservices.inventory_service", port=3004, versions=("1", "2"), settings=InventorySettings)
