"""`PORT=3000 python -m microservices.api_gateway [VERSION]`."""

from microservices.api_gateway.settings import GatewaySettings
from microservices.kit.main import main

main("microservices.api_gateway", port=3000, versions=("1",), settings=GatewaySettings)
