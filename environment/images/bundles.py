"""Images in a file: how a machine without a registry, a mirror or a network gets them."""

import gzip
from pathlib import Path

from docker import DockerClient

from environment.errors import LabError
from environment.images.builder import at_hand, has, tag
from environment.images.engine import architecture, asking
from environment.images.extras import EXTRAS
from environment.images.recipe import LOCAL
from environment.progress import Say

_BYTES = 1 << 20


def write_bundle(client: DockerClient, path: Path, say: Say) -> None:
    """Save the images to `path`, gzipped, in the format of `docker load`; the extra ones too where they are at hand.

    Streams: neither side holds an image in memory. A broken-off bundle leaves no file.
    """
    present = at_hand(client)
    if present is None:
        raise LabError(
            "There is no image of these services to bundle. Make it first: `lab images build`."
        )
    wanted = [present.services, *([present.base] if has(client, present.base) else [])]
    wanted += [image for extra in EXTRAS if (image := extra.at_hand(client))]
    part = path.with_name(f"{path.name}.part")
    try:
        with asking("save the images"), gzip.open(part, "wb", compresslevel=1) as file:
            # The SDK saves one image at a time; the engine can put several in one file, shared layers once.
            answer = client.api.get(
                f"{client.api.base_url}/v{client.api.api_version}/images/get",
                params={"names": wanted},
                stream=True,
                timeout=client.api.timeout,
            )
            answer.raise_for_status()
            written = 0
            for block in answer.iter_content(_BYTES):
                file.write(block)
                written += len(block)
                if written // (50 * _BYTES) != (written - len(block)) // (50 * _BYTES):
                    say(f"saved {written // _BYTES} MB")
        part.replace(path)
    except OSError as error:
        raise LabError(f"{path} cannot be written: {error}. Choose another place.") from error
    finally:
        part.unlink(missing_ok=True)
    say(f"{path}: {path.stat().st_size // _BYTES} MB")


def load_bundle(client: DockerClient, path: Path, say: Say) -> None:
    """Load a bundle. Raises `LabError` when it is none, or is one of another state of the services."""
    try:
        with path.open("rb") as file, asking(f"load {path}"):
            say(f"loading {path}")
            loaded = [name for image in client.images.load(file) for name in image.tags]
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error}. Make one with `lab images bundle`."
        ) from error
    present = at_hand(client)
    if present is None:
        raise LabError(
            f"{path} was loaded, but it holds other images than these services need ({', '.join(loaded)}). "
            "Make the bundle from the same commit, on a machine of the same kind "
            f"({architecture(client)}); or build the images here: `lab images build`."
        )
    tag(client, present.services, LOCAL)
    for extra in EXTRAS:
        if image := extra.at_hand(client):
            tag(client, image, extra.local)
