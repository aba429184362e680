"""The image with Python that all others stand on: the official one, or Debian's own made on this machine."""

import json
import os
import queue
import re
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.utils import parse_repository_tag

from environment.errors import LabError, RuntimeUnavailable
from environment.images.engine import architecture, asking
from environment.images.mirror import Mirror, debian_mirror
from environment.images.programs import run_program
from environment.images.recipe import LABEL, LEFT_OUT, OFFICIAL, PACKAGES, SUITE
from environment.outside import outside
from environment.progress import Say

REGISTRY_SECONDS = 6.0
"""How long a registry may take to answer for the first time."""

_SILENCE_SECONDS = 120.0
_MIRROR_SECONDS = 10.0
_BYTES = 1 << 20


def pull_image(client: DockerClient, name: str, say: Say) -> None:
    """Fetch an image from its registry. Raises `LabError` within seconds when no registry answers."""
    repository, version = parse_repository_tag(name)
    lines: queue.Queue[dict[str, Any] | BaseException | None] = queue.Queue()

    def listen() -> None:
        try:
            # Blocks until the registry has answered the engine, which by itself can take a minute to give up.
            for line in client.api.pull(repository, version or "latest", stream=True, decode=True):
                lines.put(line)
            lines.put(None)
        except BaseException as error:
            lines.put(error)

    say(f"asking the registry for {name}")
    threading.Thread(target=listen, daemon=True).start()
    patience = REGISTRY_SECONDS
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            raise LabError(_no_registry(name, f"no answer in {patience:.0f} s")) from None
        if line is None:
            return
        if isinstance(line, BaseException):
            raise LabError(_no_registry(name, _reason(line))) from line
        if "error" in line:
            raise LabError(_no_registry(name, str(line["error"])))
        patience = _SILENCE_SECONDS
        if "progressDetail" not in line or line.get("status") == "Download complete":
            say(f"{name}: {line.get('status', '')} {line.get('id', '')}".rstrip())


def registry_answers(client: DockerClient) -> bool:
    """Return whether the engine can reach a registry with the official image, decided within `REGISTRY_SECONDS`."""
    answer: queue.Queue[bool] = queue.Queue()

    def ask() -> None:
        try:
            # Through a mirror the engine pulls, but it does not ask.
            mirrors = client.info().get("RegistryConfig", {}).get("Mirrors")
            answer.put(bool(mirrors) or bool(client.images.get_registry_data(OFFICIAL)))
        except Exception:
            answer.put(False)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answer.get(timeout=REGISTRY_SECONDS)
    except queue.Empty:
        return False


def why_no_debootstrap() -> str | None:
    """Return what keeps this machine from making a base image by itself; None when nothing does."""
    if debian_mirror() is None:
        return "this is not a Debian with a mirror in its apt configuration"
    if _debootstrap() is None:
        return "debootstrap is not installed (`sudo apt-get install debootstrap`)"
    if os.geteuid() != 0:
        return "debootstrap needs root (`sudo .venv/bin/lab images build`, once)"
    return None


def debootstrap_base(client: DockerClient, scratch: Path, say: Say) -> str:
    """Make a small Debian with Python and import it; return the id of the image, which has no name yet."""
    mirror = debian_mirror()
    why_not = why_no_debootstrap()
    if mirror is None or why_not:
        raise RuntimeUnavailable(f"No base image can be made here: {why_not}.")
    _ask_mirror(mirror)
    root = scratch / "root"
    say(f"making a Debian {SUITE} with Python (half a minute)")
    run_program(
        [
            # Its mounts and its children live in namespaces of their own, and end with it.
            *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
            *(str(_debootstrap()), "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *([f"--keyring={mirror.keyring}"] if mirror.keyring else []),
            *(f"--arch={architecture(client)}", SUITE, str(root), mirror.url),
        ],
        action="debootstrap",
        next_step="Does `apt-get update` work on this machine? The same mirror is used.",
        each=lambda line: _say_step(line, say),
    )
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    say("handing it to the Docker engine")
    return _imported(client, root)


def _debootstrap() -> str | None:
    # /usr/sbin is not on every user's path, not even on root's after a plain `su`.
    return shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin:/sbin")


def _ask_mirror(mirror: Mirror) -> None:
    """Check that the mirror answers: debootstrap itself would try a dead mirror for an hour."""
    try:
        release = f"{mirror.url}/dists/{SUITE}/Release"
        with outside(), urllib.request.urlopen(release, timeout=_MIRROR_SECONDS):
            pass
    except OSError as error:
        raise LabError(
            f"The Debian mirror of this machine ({mirror.url}) has no {SUITE} for us: {error}. "
            "Does `apt-get update` work? Else take the images from a machine that has them: `lab images load`."
        ) from error


def _say_step(line: str, say: Say) -> None:
    if match := re.match(
        r"I: (Retrieving|Validating|Extracting|Unpacking|Configuring) (\S+)", line
    ):
        say(f"debootstrap: {match[1].lower()} {match[2].rstrip('.')}")


def _imported(client: DockerClient, root: Path) -> str:
    """Stream the tree into the engine, without files that no service reads."""
    command = [
        "tar",
        "-C",
        str(root),
        "--numeric-owner",
        *(f"--exclude={p}" for p in LEFT_OUT),
        "-c",
        ".",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
        try:
            with asking("take in the base image"):
                answer = client.api.import_image_from_stream(
                    _blocks(tar), changes=[f"LABEL {LABEL}=base"]
                )
        finally:
            tar.kill()
    last = json.loads(answer.strip().splitlines()[-1])
    if tar.returncode or "error" in last:
        raise LabError(
            f"The Docker engine did not take in the base image: {last}. Is its disk full?"
        )
    return str(last["status"])


def _blocks(tar: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert tar.stdout is not None
    while block := tar.stdout.read(_BYTES):
        yield block
    if tar.wait():
        # Breaking off the request is what keeps the engine from taking half a tree for a whole one.
        raise LabError(
            f"tar could not read the base image (exit code {tar.returncode}). Build again."
        )


def _no_registry(name: str, reason: str) -> str:
    return (
        f"No registry gave us {name}: {reason}. Without one, make the images here (`lab images build`) "
        "or take them from a machine that has them (`lab images bundle` there, `lab images load` here)."
    )


def _reason(error: BaseException) -> str:
    return str(getattr(error, "explanation", None) or error)
