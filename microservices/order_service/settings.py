"""The settings of order-service."""

from microservices.kit.settings import HttpUrl, Settings


class OrderSettings(Settings):
    """``PAYMENT_SERVICE_URL``: where payment-service answers."""

    payment_service_url: HttpUrl = "http://127.0.0.1:3003"
