"""The labels on all that we make in Docker: ours name its owner, Compose's let `docker compose -p` see it too."""

import hashlib
import json
import os

from environment.compose import COMPOSE_FILE, ROOT
from environment.identity import Identity
from environment.runtimes import Launch

SESSION_LABEL, SUPERVISOR_LABEL, USER_LABEL = "lab.session", "lab.supervisor", "lab.uid"

_COMPOSE = "com.docker.compose"
_COMPOSE_VERSION = "2.40.0"
"""The version whose labels these are."""


def project(session: str) -> str:
    """Return the name of a session for Docker and Compose."""
    return f"lab-{session}"


def own_labels(session: str, supervisor: Identity) -> dict[str, str]:
    """Return the labels that name the owner of a container, network or volume."""
    return {
        SESSION_LABEL: session,
        SUPERVISOR_LABEL: str(supervisor),
        USER_LABEL: str(os.getuid()),
        f"{_COMPOSE}.project": project(session),
    }


def ours(label: str, value: str) -> list[str]:
    """Return the filter for things of this user with that label: another user's session may have the same name."""
    return [f"{label}={value}", f"{USER_LABEL}={os.getuid()}"]


def container_labels(launch: Launch) -> dict[str, str]:
    """Return the labels that Compose reads from one container."""
    described = json.dumps(launch.service.model_dump(mode="json"), sort_keys=True)
    return {
        f"{_COMPOSE}.service": launch.service.name,
        f"{_COMPOSE}.container-number": str(launch.replica),
        f"{_COMPOSE}.oneoff": "False",
        f"{_COMPOSE}.config-hash": hashlib.sha256(described.encode()).hexdigest(),
        f"{_COMPOSE}.project.config_files": str(COMPOSE_FILE),
        f"{_COMPOSE}.project.working_dir": str(ROOT),
        f"{_COMPOSE}.version": _COMPOSE_VERSION,
    }


def network_labels() -> dict[str, str]:
    """Return the labels that Compose reads from a network."""
    return {f"{_COMPOSE}.network": "default", f"{_COMPOSE}.version": _COMPOSE_VERSION}


def volume_labels(volume: str) -> dict[str, str]:
    """Return the labels that Compose reads from a volume."""
    return {f"{_COMPOSE}.volume": volume, f"{_COMPOSE}.version": _COMPOSE_VERSION}
