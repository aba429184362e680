"""nginx's configuration, as text: one listener and one upstream per service.

`nginx.conf.j2` is the one template. `compose.conf` is what it gives for Docker Compose alone, with the services of all
phases. There a service's name stands for all its replicas, and Docker's own name server resolves it. Where a phase
leaves a service out, its name does not resolve, and nginx answers 502. The image holds this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from environment.errors import LabError

if TYPE_CHECKING:
    from jinja2 import Template

PROXY = "nginx"
"""The service that stands in front of the others where a phase has it. Its first port is the front door; each further
one is that of the service it stands for."""

FOLDER = Path(__file__).parent
COMPOSE_CONF = FOLDER / "compose.conf"
EXAMPLES = FOLDER / "examples"
"""One rendered configuration per algorithm, to be read."""

Algorithm = Literal["round_robin", "least_conn", "ip_hash", "random_two", "hash_uri"]
ALGORITHMS: tuple[Algorithm, ...] = get_args(Algorithm)
_DIRECTIVES = {
    "round_robin": "",
    "least_conn": "least_conn",
    "ip_hash": "ip_hash",
    "random_two": "random two least_conn",
    "hash_uri": "hash $request_uri consistent",
}
_WITH_BACKUP = ("round_robin", "least_conn")

READ_TIMEOUT = 120
"""Seconds: longer than the longest response, or nginx would request it twice."""


@dataclass(frozen=True)
class Balance:
    """How an upstream chooses its next server.

    `weights` are the shares of the replicas in their order, 1 where none is given; a replica of weight 0 gets
    nothing. A server that fails `max_fails` times within `fail_timeout` seconds is passed over for as long. The
    replicas whose numbers `backup` has are asked only when none of the others can be. Where `forwarded`, the client to
    choose by is the one that X-Forwarded-For names last, as if a proxy stood before nginx; a service still gets the
    true one. A server that sends nothing for `read_timeout` seconds has failed, and nginx repeats a GET elsewhere.
    """

    algorithm: Algorithm = "round_robin"
    weights: tuple[int, ...] = ()
    max_fails: int = 1
    fail_timeout: int = 1
    backup: tuple[int, ...] = ()
    forwarded: bool = False
    read_timeout: int = READ_TIMEOUT

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise LabError(f"There is no algorithm {self.algorithm!r}. There are: {known}.")
        if any(weight < 0 for weight in self.weights) or self.max_fails < 0:
            raise LabError("Weights are 0 or more, and max_fails is 0 or more.")
        if self.fail_timeout < 1 or self.fail_timeout != int(self.fail_timeout):
            raise LabError(
                "fail_timeout is a whole number of seconds, 1 or more: nginx has no finer unit."
            )
        if self.read_timeout < 1:
            raise LabError("read_timeout is 1 second or more.")
        if self.backup and self.algorithm not in _WITH_BACKUP:
            able = " and ".join(_WITH_BACKUP)
            raise LabError(f"nginx has a backup with {able} only, not with {self.algorithm}.")

    @property
    def directive(self) -> str:
        """The directive of nginx for the algorithm; round robin has none."""
        return _DIRECTIVES[self.algorithm]

    def server(self, number: int, address: str, *, down: bool = False) -> str:
        """Return nginx's line for replica `number`, counted from 1. `down` keeps its place and gives it nothing."""
        weight = self.weights[number - 1] if number <= len(self.weights) else 1
        parts = [address, f"max_fails={self.max_fails}", f"fail_timeout={self.fail_timeout}s"]
        idle = down or weight == 0  # nginx itself takes no weight below 1
        parts += [f"weight={weight}"] * (weight > 1) + ["backup"] * (number in self.backup)
        return " ".join(parts + ["down"] * idle)


@dataclass(frozen=True)
class Upstream:
    """One service: where nginx listens for it, and the lines of its servers."""

    service: str
    listen: str
    servers: Sequence[str]
    balance: Balance = field(default_factory=Balance)


def render(
    upstreams: Sequence[Upstream],
    *,
    source: str | None = None,
    user: str | None = None,
    resolver: str | None = None,
) -> str:
    """Return nginx.conf for these upstreams.

    Args:
        upstreams: the services, with the lines of their servers.
        source: the address from which nginx connects to them.
        user: the owner of the worker processes.
        resolver: the name server for names among the servers.
    """
    return _template().render(
        upstreams=upstreams,
        source=source,
        user=user,
        resolver=resolver,
        read_timeout=READ_TIMEOUT,
    )


@cache
def _template() -> Template:
    # Imported here: it is slow to import, and phases 0 and 1 render nothing.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    ).get_template("nginx.conf.j2")


def render_example(algorithm: Algorithm) -> str:
    """Return examples/<algorithm>.conf: user-service on three replicas, the first of weight 2 where weights count."""
    weights = (2,) if algorithm in ("round_robin", "least_conn") else ()
    balance = Balance(algorithm, weights, forwarded=algorithm == "ip_hash")
    servers = [balance.server(n, f"127.0.0.1:{3100 + n}") for n in (1, 2, 3)]
    return render([Upstream("user-service", "127.0.0.1:3001", servers, balance)])


def render_compose(ports: dict[str, tuple[int, int]]) -> str:
    """Return compose.conf. `ports` gives for each service the port that nginx listens on, and the service's own."""
    upstreams = [
        Upstream(service, str(listen), [f"{service}:{port} resolve"])
        for service, (listen, port) in ports.items()
    ]
    return render(upstreams, resolver="127.0.0.11")
