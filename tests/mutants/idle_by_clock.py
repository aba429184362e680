"""A mutant of windows: an analytics-service that takes a silent partition for idle, whatever it has still to read."""

from microservices.analytics_service import watermark
from microservices.analytics_service.watermark import IDLE_SECONDS, Position
from tests.mutants.service import run_with


def spoke(position: Position) -> bool:
    return position.silent_seconds < IDLE_SECONDS


if __name__ == "__main__":
    run_with("analytics-service", watermark, "is_active", spoke)
