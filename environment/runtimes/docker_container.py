"""One replica as a container: how it is made, and what the engine reports about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from docker.errors import APIError
from docker.types import EndpointConfig, LogConfig, Mount, Ulimit

from environment.compose import Service
from environment.runtimes import Launch, Status, Usage
from environment.runtimes.docker_labels import container_labels, project, volume_labels

_LOG_LIMIT = {"max-size": "10m", "max-file": "2"}
"""A service in a loop of errors shall not fill the disk."""


@dataclass(frozen=True)
class Place:
    """Where a replica is, through all its lives.

    `address` and `names` are those on the session's network; `ports` gives for each of its ports the host port.
    """

    service: Service
    replica: int
    address: str
    names: Sequence[str]
    ports: Mapping[int, int]


def container_name(session: str, replica: str) -> str:
    """Return the name of a replica's container."""
    return f"{project(session)}-{replica}"


def volume_name(session: str, volume: str) -> str:
    """Return the name of a session's volume."""
    return f"{project(session)}-{volume}"


def as_described(
    launch: Launch,
    place: Place,
    *,
    session: str,
    image: str,
    network: str,
    labels: Mapping[str, str],
    api: str,
) -> dict[str, Any]:
    """Return the arguments of the SDK's `containers.create` for a service as described, at its place, with our labels.

    `api` is the engine's API version.
    """
    service = launch.service
    aliases = [launch.id, *place.names]
    endpoint = EndpointConfig(api, ipv4_address=place.address, aliases=aliases)
    return {
        "image": image,
        "command": list(service.command),
        "name": container_name(session, launch.id),
        "hostname": launch.id,
        "labels": {**labels, **container_labels(launch)},
        "environment": {**service.environment, **launch.variables},
        # The SDK would add the proxies of ~/.docker/config.json, through which no service is reached.
        "use_config_proxy": False,
        # Docker's own default would be every interface of this machine.
        "ports": {f"{port}/tcp": ("127.0.0.1", own) for port, own in place.ports.items()},
        "network": network,
        "networking_config": {network: endpoint},
        "mounts": [
            # With labels, because Docker makes a volume that is not there (any more) without asking, and one without
            # labels would stay for ever.
            Mount(path, volume_name(session, name), labels={**labels, **volume_labels(name)})
            for name, path in service.volumes
        ],
        "tmpfs": dict(one.partition(":")[::2] for one in service.tmpfs),
        "user": service.user,
        "read_only": service.read_only,
        "cap_drop": list(service.cap_drop),
        "security_opt": list(service.security_opt),
        "mem_limit": service.mem_limit,
        "pids_limit": service.pids_limit,
        "ulimits": [Ulimit(name=name, soft=n, hard=n) for name, n in service.ulimits.items()],
        # Readiness is probed from outside, and each of these would start a Python every few seconds.
        "healthcheck": {"test": ["NONE"]},
        "log_config": LogConfig(type=LogConfig.types.JSON, config=_LOG_LIMIT),
    }


def read_status(container: Mapping[str, Any]) -> Status:
    """Return the condition that `inspect` reports. Exit codes are those of `subprocess`: -9 after SIGKILL."""
    state, short = container["State"], str(container["Id"])[:12]
    match state["Status"]:
        case "running" | "restarting":
            return Status("running", container=short)
        case "paused":
            return Status("paused", container=short)
        case "created" | "removing":
            return Status("absent")
        case _:
            code = int(state["ExitCode"])
            return Status("exited", container=short, exit_code=128 - code if code > 128 else code)


def usage_here(container: Mapping[str, Any]) -> Usage | None:
    """Return the usage from this machine's own process table, in a millisecond; None when the container is not on it.

    The engine measures once a second, and its answer waits for the next time (measured: 1 s). Where containers live in
    a virtual machine (Docker Desktop, Colima) there is no other way.
    """
    pid = container["State"]["Pid"]
    try:
        # A process of that number may be an unrelated one: then it is not in the container's control group.
        if not pid or container["Id"] not in Path(f"/proc/{pid}/cgroup").read_text():
            return None
        leader = psutil.Process(pid)
        members = [leader, *leader.children(recursive=True)]
        times = [member.cpu_times() for member in members]
        memory = sum(member.memory_info().rss for member in members)
        return Usage(memory, sum(time.user + time.system for time in times))
    except (OSError, psutil.Error):
        return None


def read_usage(stats: Mapping[str, Any]) -> Usage:
    """Return what the engine measured; memory as `docker stats` shows it, without cache that can be given back."""
    memory = stats["memory_stats"]
    details = memory.get("stats", {})
    # By the names of cgroup v1, where the plain name leaves out child groups, or else of v2.
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return Usage(
        max(0, memory.get("usage", 0) - cache), stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
    )


def is_port_busy(error: APIError) -> bool:
    """Return whether a container could not start because its host port is in use."""
    explanation = str(error.explanation)
    return any(
        phrase in explanation for phrase in ("already in use", "already allocated", "not available")
    )
