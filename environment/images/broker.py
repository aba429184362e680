"""The build of Kafka's image, on the same base as that of the services."""

from pathlib import Path

from docker import DockerClient

from environment.errors import LabError
from environment.images.builder import base_at_hand, built, has, prune, tag, under
from environment.images.engine import architecture
from environment.images.libraries import java
from environment.images.recipe import KAFKA_DOCKERFILE, KAFKA_FILES, KAFKA_LOCAL, names
from environment.kafka.jars import jars
from environment.progress import Say


def broker_at_hand(client: DockerClient) -> str | None:
    """Return the exact name of Kafka's image for the working tree as it is now; None when there is none."""
    known = (one.kafka for one in names(architecture(client)))
    return next((name for name in known if has(client, name)), None)


def build_broker(client: DockerClient, scratch: Path, say: Say) -> str:
    """Make Kafka's image when it is missing and return its name; it is also called `local` then."""
    if image := broker_at_hand(client):
        tag(client, image, KAFKA_LOCAL)
        return image
    target = base_at_hand(client, scratch, say)
    files = [
        (KAFKA_DOCKERFILE, "Dockerfile"),
        *under(java(architecture(client), scratch, say), "java"),
        *((path, f"jars/{path.name}") for path in sorted(jars(say).glob("*.jar"))),
        *((path, f"start/{path.name}") for path in KAFKA_FILES),
    ]
    try:
        say("building the image of Kafka")
        image = built(
            client, target, files, scratch, say, what="Kafka", where="environment/kafka/Dockerfile"
        )
        # As with the services: when files changed meanwhile, no name describes this image.
        if target not in names(architecture(client)):
            raise LabError("Files of Kafka's image changed while it was built. Build again.")
        tag(client, image, target.kafka)
        tag(client, image, KAFKA_LOCAL)
        return target.kafka
    finally:
        prune(client)
