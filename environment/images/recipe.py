"""What goes into our images, and their names, which are hashes of just that.

A name is given last, when an image is whole. So an image that has the right name is the right image: neither stale nor
half-built, here or on another machine.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from environment.compose import ROOT
from environment.nginx import COMPOSE_CONF

FOLDER = Path(__file__).parent
DOCKERFILE = FOLDER / "Dockerfile"
LOCK = FOLDER / "services.lock"
SERVICES_FOLDER = ROOT / "microservices"

PYTHON = "3.11"
OFFICIAL = "python:3.11-slim"
"""The official image with Python: the base wherever a registry answers."""

SUITE = "bookworm"
PACKAGES = ("python3",)
"""Without a registry: this release of Debian, made with debootstrap, plus these packages."""

LEFT_OUT = (
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./run/*",
    "./tmp/*",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/*",
    "./var/lib/apt/lists/*",
    "./var/log/*",
)
"""Of such a system, what no service reads: about half of it."""

LABEL = "lab.image"
BASES = "microservices-lab/base"
SERVICES = "microservices-lab/services"
LOCAL = f"{SERVICES}:local"
"""What docker-compose.yml names: the services image that was made last on this machine."""

KAFKA = "microservices-lab/kafka"
KAFKA_LOCAL = f"{KAFKA}:local"
"""The same for the image of Kafka, which only phases with Kafka carry."""

KAFKA_FOLDER = ROOT / "environment" / "kafka"
KAFKA_DOCKERFILE = KAFKA_FOLDER / "Dockerfile"
KAFKA_FILES = tuple(
    KAFKA_FOLDER / name
    for name in ("__init__.py", "__main__.py", "preparing.py", "server.properties", "starting.py")
)
JARS_LOCK = KAFKA_FOLDER / "jars.lock"
JAVA_LOCK = FOLDER / "java.lock"

POSTGRES = "microservices-lab/postgres"
POSTGRES_LOCAL = f"{POSTGRES}:local"
"""The same for the image of PostgreSQL, which only sessions carry that ask for it."""

POSTGRES_FOLDER = ROOT / "environment" / "postgres"
POSTGRES_DOCKERFILE = POSTGRES_FOLDER / "Dockerfile"
POSTGRES_FILES = tuple(
    POSTGRES_FOLDER / name
    for name in ("__init__.py", "__main__.py", "postgresql.conf", "segment.py", "user.py")
)
POSTGRES_LOCK = FOLDER / "postgres.lock"


@dataclass(frozen=True)
class Names:
    """One base image and the images that stand on it, by name."""

    base: str
    services: str
    kafka: str
    postgres: str


def names(architecture: str) -> tuple[Names, Names]:
    """Return the names for the working tree as it is now, on the official base and on one made with debootstrap.

    `architecture` is Docker's word (amd64, arm64). Takes a few milliseconds.
    """
    whole = (DOCKERFILE, LOCK, COMPOSE_CONF)
    parts: list[str | bytes] = [path.read_bytes() for path in whole]
    for path in service_files():
        parts += [path.relative_to(SERVICES_FOLDER).as_posix(), path.read_bytes()]
    services = _hash(*parts)
    kafka = [path.read_bytes() for path in (KAFKA_DOCKERFILE, JARS_LOCK, JAVA_LOCK, *KAFKA_FILES)]
    store = [path.read_bytes() for path in (POSTGRES_DOCKERFILE, POSTGRES_LOCK, *POSTGRES_FILES)]
    official = _hash(architecture, OFFICIAL)
    made = _hash(architecture, SUITE, *PACKAGES, *LEFT_OUT)
    first, second = (
        Names(
            f"{BASES}:{base}",
            f"{SERVICES}:{_hash(base, services)}",
            f"{KAFKA}:{_hash(base, *kafka)}",
            f"{POSTGRES}:{_hash(base, *store)}",
        )
        for base in (official, made)
    )
    return first, second


def libraries_key(architecture: str, lock: Path) -> str:
    """Return a hash of what the libraries of a lock file depend on, for a folder's name."""
    return f"{architecture}-{_hash(PYTHON, lock.read_bytes())}"


def service_files() -> Iterator[Path]:
    """Return the files of `microservices/` that go into the image, in a fixed order."""
    for folder, subfolders, names in os.walk(SERVICES_FOLDER):
        subfolders[:] = sorted(name for name in subfolders if not _passed_over(name))
        yield from (Path(folder, name) for name in sorted(names) if not _passed_over(name))


def _passed_over(name: str) -> bool:
    return name == "__pycache__" or name.startswith(".") or name.endswith((".pyc", "~"))


def _hash(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        # With its length, so that no two different lists of parts run together into the same bytes.
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]
