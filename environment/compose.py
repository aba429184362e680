"""docker-compose.yml as we read it: a closed subset of the Compose Specification, and anything else is an error.

Because the subset is closed, two runtimes and Docker Compose itself start the same system: a key that one of them
would ignore silently cannot be in the file.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from environment.errors import DescriptionError

ROOT = Path(__file__).resolve().parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)(?::-([^}]*))?\}|(.?))")
_DURATION = re.compile(r"(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_SIZES = {"k": 2**10, "m": 2**20, "g": 2**30}


def _seconds(text: Any) -> float:
    match = _DURATION.fullmatch(str(text))
    if not str(text) or not match:
        raise ValueError(f"{text!r} is not a duration such as 5s, 1m30s or 500ms")
    minutes, seconds, millis = (int(part or 0) for part in match.groups())
    return minutes * 60 + seconds + millis / 1000


def _bytes(text: Any) -> int:
    match = re.fullmatch(r"(\d+)([kmg])", str(text))
    if not match:
        raise ValueError(f"{text!r} is not a size such as 256m or 1g")
    return int(match[1]) * _SIZES[match[2]]


def _loopback_port(text: Any) -> int:
    match = re.fullmatch(r"127\.0\.0\.1::(\d+)", str(text))
    if not match:
        raise ValueError(f'{text!r} is not "127.0.0.1::PORT" (any free host port, loopback only)')
    return int(match[1])


def _named_volume(text: Any) -> tuple[str, str]:
    match = re.fullmatch(r"([a-z][a-z0-9-]*):(/[^:]+)", str(text))
    if not match:
        raise ValueError(f"{text!r} is not NAME:/path (named volumes only, never bind mounts)")
    return match[1], match[2]


Seconds = Annotated[float, BeforeValidator(_seconds)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
LoopbackPort = Annotated[int, BeforeValidator(_loopback_port)]
NamedVolume = Annotated[tuple[str, str], BeforeValidator(_named_volume)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Build(_Closed):
    """Where Compose would build an image from."""

    context: str
    dockerfile: str = "Dockerfile"


class Dependency(_Closed):
    """One entry of `depends_on`; `required: false` because a phase may leave the other service out."""

    condition: Literal["service_started", "service_healthy"]
    required: Literal[False]


class Healthcheck(_Closed):
    """Compose's own health check; `lab` probes by `x-lab` instead."""

    test: tuple[str, ...]
    interval: Seconds
    timeout: Seconds
    retries: int


Condition = Annotated[str, StringConstraints(pattern=r"^(version [1-9]\d*|[A-Z_]+=\w+)$")]


class Lab(_Closed):
    """`x-lab`: the evidence that a replica is ready, and the services without which it never is.

    `ready` is `http PATH`, `tcp`, or an answer as a program's (`nginx`). `needs` has the conditions under which a
    replica needs another service, any of them: `version N` holds from that version on, `NAME=value` for that setting.
    """

    ready: Annotated[
        str, StringConstraints(pattern=r"^(http /\S*|tcp|nginx|valkey|postgres|kafka)$")
    ]
    needs: dict[Name, tuple[Condition, ...]] = Field(default_factory=dict)


class Service(_Closed):
    """One service as described. `environment` is the closed list of its settings.

    `ports` are container ports, `volumes` pairs (name, path), `mem_limit` bytes, `stop_grace_period` seconds.
    """

    name: Name
    image: str
    build: Build | None = None
    command: tuple[str, ...]
    environment: dict[str, str] = Field(default_factory=dict)
    ports: tuple[LoopbackPort, ...] = ()
    depends_on: dict[str, Dependency] = Field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    profiles: tuple[str, ...] = ()
    volumes: tuple[NamedVolume, ...] = ()
    tmpfs: tuple[str, ...] = ()
    user: Annotated[str, StringConstraints(pattern=r"^\d+(:\d+)?$")] | None = None
    read_only: bool = False
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    mem_limit: Bytes | None = None
    pids_limit: int | None = None
    ulimits: dict[Literal["nofile"], int] = Field(default_factory=dict)
    stop_grace_period: Seconds = 10.0
    stop_signal: Literal["SIGTERM", "SIGINT"] = "SIGTERM"
    networks: tuple[str, ...] = ()
    x_lab: Lab = Field(alias="x-lab")

    @property
    def port(self) -> int:
        """The container port that the service listens on: the first of them, which this machine's programs use."""
        return self.ports[0]

    @property
    def speaks_http(self) -> bool:
        """Whether it is one of our services, with `/ready`, `/faults` and versions; the others are not."""
        return self.x_lab.ready.startswith("http")

    @property
    def version_variable(self) -> str:
        """The variable of a phase file that picks this service's version: `USER_SERVICE_VERSION`."""
        return self.name.upper().replace("-", "_") + "_VERSION"


class Description(_Closed):
    """The file for one phase: the services it runs, in the order they are written, and the volumes these use."""

    name: Name
    services: dict[Name, Service]
    volumes: tuple[Name, ...]


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill `${NAME}` and `${NAME:-default}`; `$$` is a dollar sign. An unset name without a default is an error."""

    def fill(match: re.Match[str]) -> str:
        dollar, name, default, other = match.groups()
        if dollar:
            return "$"
        if other is not None:
            raise DescriptionError(f"{text!r}: write ${{NAME}}, ${{NAME:-default}} or $$")
        value = variables.get(name) or default
        if value is None:
            raise DescriptionError(f"{text!r}: {name} is not set and has no default")
        return value

    return _VARIABLE.sub(fill, text)


def _interpolated(node: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(node, str):
        return interpolate(node, variables)
    if isinstance(node, dict):
        return {key: _interpolated(value, variables) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolated(value, variables) for value in node]
    return node


@lru_cache(maxsize=2)
def _parsed(text: str) -> Any:
    """Return the YAML of a file, cached: each replica that starts reads the description again. Not to be changed."""
    return yaml.safe_load(text)


def read_description(
    path: Path = COMPOSE_FILE, *, variables: Mapping[str, str] | None = None
) -> Description:
    """Read the description, with `variables` (a phase file's) filled in.

    Only services without a profile, or with one that `COMPOSE_PROFILES` names, are kept.

    Raises:
        DescriptionError: the file holds something else; the message names the place and what was found.
    """
    variables = variables or {}
    try:
        raw = _parsed(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DescriptionError(f"{path} cannot be read as YAML: {error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("services"), dict):
        raise DescriptionError(f"{path}: expected a map with `services`")
    # Top-level `x-` keys are only the home of YAML anchors; what matters is where they are merged in.
    raw = _interpolated({k: v for k, v in raw.items() if not str(k).startswith("x-")}, variables)
    raw["volumes"] = list(raw.get("volumes") or {})
    raw["services"] = {
        name: {**body, "name": name} if isinstance(body, dict) else body
        for name, body in raw["services"].items()
    }
    try:
        whole = Description.model_validate(raw)
    except ValidationError as error:
        raise DescriptionError(f"{path}:\n" + "\n".join(_explained(error))) from error
    _check_references(path, whole)
    wanted = set((variables.get("COMPOSE_PROFILES") or "").split(","))
    kept = {n: s for n, s in whole.services.items() if not s.profiles or wanted & set(s.profiles)}
    used = {name for service in kept.values() for name, _ in service.volumes}
    volumes = tuple(name for name in whole.volumes if name in used)
    return whole.model_copy(update={"services": kept, "volumes": volumes})


def _explained(error: ValidationError) -> list[str]:
    explanations = {"extra_forbidden": "is not in the subset of Compose that this project reads"}
    return [
        f"  {'.'.join(map(str, item['loc']))} {explanations.get(item['type'], item['msg'])}"
        for item in error.errors()
    ]


def _check_references(path: Path, whole: Description) -> None:
    for service in whole.services.values():
        if unknown := set(service.depends_on) - set(whole.services):
            raise DescriptionError(f"{path}: {service.name} depends on unknown {sorted(unknown)}")
        if unknown := set(service.x_lab.needs) - set(whole.services):
            raise DescriptionError(f"{path}: {service.name} needs unknown {sorted(unknown)}")
        if unknown := {name for name, _ in service.volumes} - set(whole.volumes):
            raise DescriptionError(f"{path}: {service.name} mounts undeclared {sorted(unknown)}")
        if not service.ports or (len(service.ports) > 1 and service.speaks_http):
            raise DescriptionError(f"{path}: {service.name} needs exactly one port")
