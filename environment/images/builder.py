"""The build of the images: a base with Python, and on it the services."""

import tarfile
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

from docker import DockerClient
from docker.errors import APIError, ImageNotFound

from environment.errors import LabError, RuntimeUnavailable
from environment.images.base import debootstrap_base, pull_image, why_no_debootstrap
from environment.images.engine import architecture, asking
from environment.images.libraries import libraries
from environment.images.recipe import (
    BASES,
    DOCKERFILE,
    KAFKA,
    KAFKA_LOCAL,
    LABEL,
    LOCAL,
    OFFICIAL,
    POSTGRES,
    POSTGRES_LOCAL,
    SERVICES,
    SERVICES_FOLDER,
    Names,
    names,
    service_files,
)
from environment.nginx import COMPOSE_CONF
from environment.progress import Say

_KEPT_SECONDS = 86_400
"""Images of other states of the working tree are kept for a day: going back to a branch costs nothing then."""


def has(client: DockerClient, image: str) -> bool:
    """Return whether the engine has an image of that name."""
    with asking(f"look for the image {image}"):
        try:
            client.images.get(image)
            return True
        except ImageNotFound:
            return False


def at_hand(client: DockerClient) -> Names | None:
    """Return the names under which the services image of the working tree, as it is now, is there."""
    return next((one for one in names(architecture(client)) if has(client, one.services)), None)


def build_all(client: DockerClient, scratch: Path, say: Say) -> str:
    """Make whatever is missing and return the name of the services image, which is also called `local` then."""
    if present := at_hand(client):
        tag(client, present.services, LOCAL)
        return present.services
    target = base_at_hand(client, scratch, say)
    folder = libraries(architecture(client), scratch, say)
    try:
        say("building the image of the services")
        image = built(
            client,
            target,
            _service_context(folder),
            scratch,
            say,
            what="the services",
            where="environment/images/Dockerfile",
        )
        # The files may have changed while we read them; then no name describes this image.
        if target not in names(architecture(client)):
            raise LabError(
                "Files of the services changed while their image was built. Build again."
            )
        tag(client, image, target.services)
        tag(client, image, LOCAL)
        _remove_outdated(client)
        return target.services
    finally:
        prune(client)


def prune(client: DockerClient) -> None:
    """Remove what a failed or killed build left; never the reason for an error."""
    with suppress(Exception):
        client.images.prune(filters={"dangling": True, "label": LABEL})


def tag(client: DockerClient, image: str, name: str) -> None:
    """Give an image a name, taking it from the one that had it."""
    repository, _, version = name.rpartition(":")
    with asking(f"name an image {name}"):
        client.api.tag(image, repository, version)


def pull_base(client: DockerClient, say: Say) -> str:
    """Fetch the official base and give it our name."""
    pull_image(client, OFFICIAL, say)
    official, _ = names(architecture(client))
    tag(client, OFFICIAL, official.base)
    return official.base


def base_at_hand(client: DockerClient, scratch: Path, say: Say) -> Names:
    """Return the names to build under: those of a base that is here, or else of the first that can be had."""
    official, made = names(architecture(client))
    for choice in (official, made):
        if has(client, choice.base):
            return choice
    try:
        pull_base(client, say)
        return official
    except LabError as error:
        say("no registry answers")
        if why := why_no_debootstrap():
            raise RuntimeUnavailable(f"{error} To make them here: {why}.") from error
    tag(client, debootstrap_base(client, scratch, say), made.base)
    return made


def built(
    client: DockerClient,
    target: Names,
    files: Iterable[tuple[Path, str]],
    scratch: Path,
    say: Say,
    *,
    what: str,
    where: str,
) -> str:
    """Build an image from `files` (each with its name in the build's context) and return its id.

    One of the files is the Dockerfile; it is built on `target.base`, without a network. `what` the image is of and
    `where` its Dockerfile stands are named in messages.
    """
    with tempfile.TemporaryFile(dir=scratch) as context, asking(f"build the image of {what}"):
        _write_context(context, files)
        context.seek(0)
        output = client.api.build(
            fileobj=context,
            custom_context=True,
            buildargs={"BASE": target.base},
            network_mode="none",
            use_config_proxy=False,  # nor does a build need what is configured for networks
            rm=True,
            forcerm=True,
            decode=True,
        )
        with closing(output):  # which makes the engine give up a build that is broken off here
            return _image_from(output, say, what, where)


def _image_from(output: Iterable[dict[str, Any]], say: Say, what: str, where: str) -> str:
    """Follow a build to its end and return the image's id."""
    image, last = "", ""
    for line in output:
        if "error" in line:
            raise LabError(
                f"The image of {what} cannot be built: {line['error'].strip()} (after: {last}). "
                f"Look at {where}."
            )
        if text := line.get("stream", "").strip():
            last = text
            if text.startswith("Step "):
                say(f"image of {what}: {text}"[:120])
        image = line.get("aux", {}).get("ID", image)
    if not image:
        raise LabError(
            f"The Docker engine ended the build without an image (after: {last}). Build again."
        )
    return image


def _service_context(folder: Path) -> Iterator[tuple[Path, str]]:
    """Return what the Dockerfile of the services copies, with their libraries from `folder`."""
    yield DOCKERFILE, "Dockerfile"
    yield COMPOSE_CONF, "nginx.conf"
    yield from under(folder, "libraries")
    for path in service_files():
        yield path, f"microservices/{path.relative_to(SERVICES_FOLDER)}"


def under(folder: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Return everything in a folder, for a context in which the folder is called `name`."""
    for path in sorted(folder.rglob("*")):
        yield path, f"{name}/{path.relative_to(folder)}"


def _write_context(context: IO[bytes], files: Iterable[tuple[Path, str]]) -> None:
    """Pack a build's context. Owners and times are left out: they would only make equal things differ."""
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path, name in files:
            entry = tar.gettarinfo(path, name)
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.isfile():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)


def _remove_outdated(client: DockerClient) -> None:
    """Remove our images of earlier states that have not been used for a day."""
    kept = {
        LOCAL,
        KAFKA_LOCAL,
        POSTGRES_LOCAL,
        *(
            name
            for one in names(architecture(client))
            for name in (one.base, one.services, one.kafka, one.postgres)
        ),
    }
    with suppress(APIError):
        used = {container["ImageID"] for container in client.api.containers(all=True)}
        for image in client.api.images(filters={"reference": [BASES, SERVICES, KAFKA, POSTGRES]}):
            if image["Id"] in used or time.time() - image["Created"] < _KEPT_SECONDS:
                continue
            for name in image["RepoTags"] or ():
                if name not in kept:
                    with suppress(APIError):  # a container needs it after all
                        client.api.remove_image(name)
