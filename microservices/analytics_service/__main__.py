"""`PORT=3005 python -m microservices.analytics_service [VERSION]`."""

from microservices.analytics_service.settings import AnalyticsSettings
from microservices.kit.main import main

main("microservices.analytics_service", port=3005, versions=("1", "2"), settings=AnalyticsSettings)
