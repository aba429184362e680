"""Descriptions of wrong systems: docker-compose.yml with a service's command or settings replaced."""

from pathlib import Path
from typing import Any

import yaml

from environment.compose import COMPOSE_FILE


def mutated(folder: Path, changes: dict[str, dict[str, Any]]) -> Path:
    """A copy of docker-compose.yml in which services have other keys; `environment` is added to, not replaced."""
    content = yaml.safe_load(COMPOSE_FILE.read_text())
    for service, change in changes.items():
        described = content["services"][service]
        described["environment"] |= change.pop("environment", {})
        described.update(change)
    path = folder / "docker-compose.yml"
    path.write_text(yaml.safe_dump(content))
    return path
