"""The builds of the images that only some systems need, Kafka's and PostgreSQL's, on the base of the services."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient

from environment.errors import LabError
from environment.images.builder import base_at_hand, built, has, prune, tag, under
from environment.images.engine import architecture
from environment.images.libraries import java, postgres
from environment.images.recipe import (
    KAFKA_DOCKERFILE,
    KAFKA_FILES,
    KAFKA_LOCAL,
    POSTGRES_DOCKERFILE,
    POSTGRES_FILES,
    POSTGRES_LOCAL,
    Names,
    names,
)
from environment.kafka.jars import jars
from environment.progress import Say

Files = Iterable[tuple[Path, str]]
"""Files, each with its name in the context of a build."""


@dataclass(frozen=True)
class Extra:
    """An image that is made when a system needs it. `local` is its name in docker-compose.yml."""

    what: str
    where: str
    local: str
    name: Callable[[Names], str]
    files: Callable[[DockerClient, Path, Say], Files]

    def at_hand(self, client: DockerClient) -> str | None:
        """Return its exact name for the working tree as it is now; None when it is not there."""
        known = (self.name(one) for one in names(architecture(client)))
        return next((name for name in known if has(client, name)), None)

    def build(self, client: DockerClient, scratch: Path, say: Say) -> str:
        """Make it when it is missing and return its name; it is also called `local` then."""
        if image := self.at_hand(client):
            tag(client, image, self.local)
            return image
        target = base_at_hand(client, scratch, say)
        files = self.files(client, scratch, say)
        try:
            say(f"building the image of {self.what}")
            image = built(client, target, files, scratch, say, what=self.what, where=self.where)
            # As with the services: when files changed meanwhile, no name describes this image.
            if target not in names(architecture(client)):
                raise LabError(
                    f"Files of {self.what}'s image changed while it was built. Build again."
                )
            tag(client, image, self.name(target))
            tag(client, image, self.local)
            return self.name(target)
        finally:
            prune(client)


def _kafka_files(client: DockerClient, scratch: Path, say: Say) -> Files:
    return [
        (KAFKA_DOCKERFILE, "Dockerfile"),
        *under(java(architecture(client), scratch, say), "java"),
        *((path, f"jars/{path.name}") for path in sorted(jars(say).glob("*.jar"))),
        *((path, f"start/{path.name}") for path in KAFKA_FILES),
    ]


def _postgres_files(client: DockerClient, scratch: Path, say: Say) -> Files:
    return [
        (POSTGRES_DOCKERFILE, "Dockerfile"),
        *under(postgres(architecture(client), scratch, say), "server"),
        *((path, f"start/{path.name}") for path in POSTGRES_FILES),
    ]


KAFKA = Extra(
    what="Kafka",
    where="environment/kafka/Dockerfile",
    local=KAFKA_LOCAL,
    name=lambda one: one.kafka,
    files=_kafka_files,
)
POSTGRES = Extra(
    what="PostgreSQL",
    where="environment/postgres/Dockerfile",
    local=POSTGRES_LOCAL,
    name=lambda one: one.postgres,
    files=_postgres_files,
)
EXTRAS = (KAFKA, POSTGRES)
