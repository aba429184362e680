"""Phase 5's participants beside one broker: each is real until `MUTANT` of its environment names a mutant."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from environment import Environment
from tests.mutants.chosen import NONE
from tests.mutants.descriptions import mutated

VERSIONS = {
    "order-service": 3,
    "payment-service": 3,
    "inventory-service": 1,
    "analytics-service": 2,
}
STOCK = {"inventory-service": {"STOCK": "prod-1=100000"}}


@contextmanager
def shop(folder: Path) -> Iterator[Environment]:
    """Start it as processes, with a description in `folder`."""
    changes: dict[str, dict[str, Any]] = {
        service: {
            "command": ["python", "-m", "tests.mutants.chosen", service.replace("-", "_"), str(n)],
            "environment": {"MUTANT": NONE},
        }
        for service, n in VERSIONS.items()
    }
    only = ("kafka", *VERSIONS)
    with Environment(
        "phase5",
        runtime="process",
        only=only,
        settings=STOCK,
        description=mutated(folder, changes),
    ) as env:
        yield env
