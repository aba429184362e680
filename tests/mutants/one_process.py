"""A mutant of independence: all three services in payment-service's process, so that a kill ends all of them.

The services are the real ones; only the process they live in is replaced. `python -m tests.mutants.one_process`, as
payment-service, serves all three at their own addresses; as another service it holds the place and does nothing.
"""

import asyncio
import os
import signal
from urllib.parse import urlsplit

import uvicorn

from microservices.kit.main import build
from microservices.kit.settings import Settings, read_settings
from microservices.order_service.settings import OrderSettings
from microservices.payment_service.settings import PaymentSettings
from microservices.user_service.settings import UserSettings

SERVICES: dict[str, type[Settings]] = {
    "user_service": UserSettings,
    "order_service": OrderSettings,
    "payment_service": PaymentSettings,
}


def server(name: str, settings: type[Settings]) -> uvicorn.Server:
    url = os.environ.get(f"{name.upper()}_URL")
    port = int(str(urlsplit(url).port if url else os.environ["PORT"]))
    found = read_settings(settings, port=port, instance=f"{name}-1").model_copy(
        update={"port": port}
    )
    app = build(f"microservices.{name}", "1", found)
    return uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))


async def serve_all() -> None:
    await asyncio.gather(*(server(name, kind).serve() for name, kind in SERVICES.items()))


if __name__ == "__main__":
    if "USER_SERVICE_URL" in os.environ:
        asyncio.run(serve_all())
    else:
        signal.pause()
