"""The images of the course: a base with Python, and on it our services, with and without a registry.

build(say)     make what is missing           bundle(path, say)   save them to a file
build_kafka    the image of Kafka, the same; build_postgres that of PostgreSQL
pull(say)      fetch the official base        load(path, say)     take them from such a file
"""

from contextlib import closing
from pathlib import Path

from docker import DockerClient

from environment.images.base import pull_image, registry_answers, why_no_debootstrap
from environment.images.builder import at_hand, build_all, has, pull_base
from environment.images.bundles import load_bundle, write_bundle
from environment.images.engine import architecture, connect
from environment.images.extras import EXTRAS, KAFKA, POSTGRES, Extra
from environment.images.recipe import LOCAL, names
from environment.images.workshop import workshop
from environment.progress import Say

__all__ = [
    "build",
    "build_kafka",
    "build_postgres",
    "buildable",
    "bundle",
    "ensure",
    "kafka_present",
    "load",
    "present",
    "pull",
]

_PATIENCE = 600
"""Seconds that one step of a build may take without output from the engine."""


def present() -> bool:
    """Return whether the image of the services, as they are in the working tree now, is at hand. Takes milliseconds.

    Raises `RuntimeUnavailable` when there is no engine.
    """
    with closing(connect()) as client:
        return at_hand(client) is not None


def buildable() -> tuple[bool, str]:
    """Return whether images can be made on this machine, and how, or why not. Takes a few seconds at most.

    Raises `RuntimeUnavailable` when there is no engine.
    """
    with closing(connect()) as client:
        if any(has(client, one.base) for one in names(architecture(client))):
            return True, "the base image is here"
        why_not = why_no_debootstrap()
        if why_not is None:
            return True, "debootstrap can make the base image"
        if registry_answers(client):
            return True, "a registry answers"
        return False, f"no registry answers, and {why_not}; or `lab images load` a bundle"


def build(say: Say) -> str:
    """Make the images that are missing, and return the exact name of the services image."""
    with workshop(say) as scratch, closing(connect(patience=_PATIENCE)) as client:
        return build_all(client, scratch, say)


def kafka_present() -> bool:
    """Return whether the image of Kafka is at hand. Raises `RuntimeUnavailable` when there is no engine."""
    with closing(connect()) as client:
        return KAFKA.at_hand(client) is not None


def build_kafka(say: Say) -> str:
    """Make the image of Kafka, which phases with Kafka need in addition; return its exact name."""
    return _build(KAFKA, say)


def build_postgres(say: Say) -> str:
    """Make the image of PostgreSQL, which sessions need that ask for it; return its exact name."""
    return _build(POSTGRES, say)


def _build(extra: Extra, say: Say) -> str:
    with workshop(say) as scratch, closing(connect(patience=_PATIENCE)) as client:
        return extra.build(client, scratch, say)


def pull(say: Say) -> str:
    """Fetch the official base image and return its name here. Raises `LabError` when no registry answers."""
    with closing(connect(patience=_PATIENCE)) as client:
        return pull_base(client, say)


def bundle(path: Path, say: Say) -> None:
    """Save the images to a file, to be carried to another machine."""
    with closing(connect(patience=_PATIENCE)) as client:
        write_bundle(client, path, say)


def load(path: Path, say: Say) -> None:
    """Take the images from a file that `bundle` wrote."""
    with closing(connect(patience=_PATIENCE)) as client:
        load_bundle(client, path, say)


def ensure(client: DockerClient, image: str, say: Say) -> str:
    """Return the exact name of the image that a description calls `image`; build or fetch a missing one."""
    for extra in EXTRAS:
        if image == extra.local:
            return extra.at_hand(client) or _build(extra, say)
    if image != LOCAL:
        if not has(client, image):
            pull_image(client, image, say)
        return image
    at_hand_now = at_hand(client)
    return at_hand_now.services if at_hand_now else build(say)
