"""A mutant of windows: an analytics-service whose watermark waits for every partition, idle ones too."""

from microservices.analytics_service import watermark
from microservices.analytics_service.watermark import Position
from tests.mutants.service import run_with


def always(_: Position) -> bool:
    return True


if __name__ == "__main__":
    run_with("analytics-service", watermark, "is_active", always)
