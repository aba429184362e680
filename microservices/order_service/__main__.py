"""`PORT=3002 python -m microservices.order_service [VERSION]`."""

from microservices.kit.main import main
from microservices.order_service.settings import OrderSettings

main(
    "microservices.order_service", port=3002, versions=("1", "2", "3", "4"), settings=OrderSettings
)
