"""payment-service 2 with one function replaced: its effect raises for customers with a certain name."""

from typing import Any

from sqlalchemy import Connection

from microservices.kit.main import main
from microservices.payment_service import v2
from microservices.payment_service.settings import PaymentSettings

real, seen = v2.charge, set()


def charge(connection: Connection, event: Any) -> None:
    if event.data.user_id == "raises-always":
        raise RuntimeError("this effect always raises")
    if event.data.user_id == "raises-once" and event.event_id not in seen:
        seen.add(event.event_id)
        raise RuntimeError("this effect raises the first time")
    real(connection, event)


if __name__ == "__main__":
    v2.charge = charge
    main("microservices.payment_service", port=3003, versions=("2",), settings=PaymentSettings)
