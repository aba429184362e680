"""`PORT=3003 python -m microservices.payment_service [VERSION]`."""

from microservices.kit.main import main
from microservices.payment_service.settings import PaymentSettings

main(
    "microservices.payment_service",
    port=3003,
    versions=("1", "2", "3", "4"),
    settings=PaymentSettings,
)
