"""The removal of what we made in Docker: by label, ours only, including what was still being made."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from docker import DockerClient
from docker.errors import APIError, NotFound

from environment.errors import LabError
from environment.images.engine import asking
from environment.runtimes.docker_labels import SESSION_LABEL, SUPERVISOR_LABEL, USER_LABEL, ours

QUIET_SECONDS = 3.0
"""For how long nothing may appear any more, when something may still be in the making."""

_LIMIT_SECONDS = 60.0
_EVERY_SECONDS = 0.2
_AT_A_TIME = 8


def remove_session(client: DockerClient, session: str, *, quiet: float) -> None:
    """Remove a session's containers, network and volumes until nothing appears for `quiet` seconds.

    Raises `LabError` that names what cannot be removed.
    """
    _remove_all(client, ours(SESSION_LABEL, session), quiet)


def sweep_docker(client: DockerClient, dead: Callable[[str], bool]) -> list[str]:
    """Remove this user's things whose supervisor is dead, and nothing else; return their sessions.

    `dead` decides by the label `lab.supervisor`. Other sweeps may run at the same time.
    """
    labels = [thing.labels for thing in _things(client, [f"{USER_LABEL}={os.getuid()}"])]
    supervisors = {one[SUPERVISOR_LABEL] for one in labels if SUPERVISOR_LABEL in one}
    gone = {supervisor for supervisor in supervisors if dead(supervisor)}
    for supervisor in gone:
        _remove_all(client, ours(SUPERVISOR_LABEL, supervisor), quiet=0)
    return sorted(
        {one.get(SESSION_LABEL, "") for one in labels if one.get(SUPERVISOR_LABEL) in gone}
    )


@dataclass(frozen=True)
class _Thing:
    kind: Literal["container", "network", "volume"]
    id: str
    name: str
    labels: dict[str, str]


def _things(client: DockerClient, labels: list[str]) -> list[_Thing]:
    """Return everything with these labels, in the order in which they can be removed."""
    wanted = {"label": labels}
    with asking("list what belongs to a session"):
        containers = client.api.containers(all=True, filters=wanted)
        networks = client.api.networks(filters=wanted)
        volumes = client.api.volumes(filters=wanted)["Volumes"] or []
    return [
        *(_Thing("container", c["Id"], c["Names"][0], c["Labels"]) for c in containers),
        *(_Thing("network", n["Id"], n["Name"], n["Labels"]) for n in networks),
        *(_Thing("volume", v["Name"], v["Name"], v["Labels"]) for v in volumes),
    ]


def _remove_all(client: DockerClient, labels: list[str], quiet: float) -> None:
    limit = time.monotonic() + _LIMIT_SECONDS
    empty_since: float | None = None
    while True:
        things = _things(client, labels)
        now = time.monotonic()
        if things:
            empty_since, problems = None, _remove_once(client, things)
            if problems and now > limit:
                raise LabError(
                    f"Docker does not let go of: {'; '.join(problems)}. "
                    "End what uses them, then try `lab down --all` again."
                )
        else:
            empty_since = now if empty_since is None else empty_since
            if now - empty_since >= quiet:
                return
        time.sleep(0 if things else min(quiet, _EVERY_SECONDS))


def _remove_once(client: DockerClient, things: list[_Thing]) -> list[str]:
    """Try to remove each once; return what stood in the way."""
    problems: list[str | None] = []
    for kind in ("container", "network", "volume"):
        group = [thing for thing in things if thing.kind == kind]
        pool = ThreadPoolExecutor(_AT_A_TIME)
        try:
            problems += pool.map(lambda thing: _remove(client, thing), group)
        finally:
            pool.shutdown(cancel_futures=True)
    return [problem for problem in problems if problem]


def _remove(client: DockerClient, thing: _Thing) -> str | None:
    with asking(f"remove the {thing.kind} {thing.name}"):
        try:
            if thing.kind == "container":
                client.api.remove_container(thing.id, force=True, v=True)
            elif thing.kind == "network":
                _empty(client, thing.id)
                client.api.remove_network(thing.id)
            else:
                client.api.remove_volume(thing.id, force=True)
        except NotFound:
            pass
        except APIError as error:  # another program is removing it, or uses it
            return f"{thing.kind} {thing.name} ({error.explanation})"
    return None


def _empty(client: DockerClient, network: str) -> None:
    """Take everything off a network; another program's container that joined it lives on without it."""
    for container in client.api.inspect_network(network)["Containers"] or {}:
        with suppress(APIError):
            client.api.disconnect_container_from_network(container, network, force=True)
