"""Settings: a closed list of environment variables, read once when a service starts.

Every service has `HOST PORT WORKERS DATA_DIR SEED INSTANCE FAULTS CONTROL_TOKEN DATABASE_URL
KAFKA_BOOTSTRAP REPLACED`; a service with more of them declares them in its own `settings.py`.

`REPLACED` is code: the name of a definition of the service, and the source that stands for it
(`kit/replacement.py`). It is a fault as those of `FAULTS` are: it needs `FAULTS=on`, and so a `CONTROL_TOKEN`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

HIDDEN = {"AUTH_TOKEN", "CONTROL_TOKEN", "DATABASE_URL", "VALKEY_URL"}
"""Variables whose value may hold a secret, so that no error message repeats it."""

LONG = {"REPLACED"}
"""Variables whose value is too long for a message of one line."""

REPLACED_BYTES = 65_536
"""Most bytes of `REPLACED`: Linux takes no variable of more than 131,072."""


class BadSetting(Exception):
    """A setting has an unusable value. The text is one line for a person."""


def default_data_dir() -> Path:
    """Return `$XDG_STATE_HOME/microservices-lab`: state of this user, outside the clone."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "microservices-lab"


def _postgresql(url: str) -> str:
    expected = "should be postgresql://user:password@host:port/database"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("postgresql", "postgresql+psycopg") and bool(parts.hostname)
        _ = parts.port
    except ValueError:  # without its text, which repeats a part of the address
        raise ValueError(expected) from None
    if not usable:
        raise ValueError(expected)
    return url


def _http(url: str) -> str:
    match = re.fullmatch(r"http://[A-Za-z0-9._-]+(?::(\d{1,5}))?/?", url)
    if not match or int(match[1] or 80) > 65535:
        raise ValueError("should be http://host:port")
    return url


def _valkey(url: str) -> str:
    if not url.startswith("valkey://"):
        raise ValueError("should be valkey://:password@host:port")
    return url


def _not_too_long(text: str) -> str:
    if len(text.encode(errors="replace")) > REPLACED_BYTES:
        raise ValueError(f"should have at most {REPLACED_BYTES:,} bytes")
    return text


def _host_and_port(address: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]+:\d{1,5}", address):
        raise ValueError("should be host:port")
    return address


ValkeyUrl = Annotated[str, AfterValidator(_valkey)]
"""The address of Valkey: `valkey://[:password@]host:port`."""

HttpUrl = Annotated[str, AfterValidator(_http)]
"""The address of another service: `http://host:port`, without a path."""


class Settings(BaseSettings):
    """The settings every service has. Names are the environment variables, in lower case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    data_dir: Path = Field(default_factory=default_data_dir)
    seed: int = 7
    instance: str = Field(default="", max_length=100)
    workers: int = Field(default=1, ge=1, le=16)
    faults: Literal["on", "off"] = "off"
    control_token: str = ""
    database_url: Annotated[str, AfterValidator(_postgresql)] | None = None
    kafka_bootstrap: Annotated[str, AfterValidator(_host_and_port)] | None = None
    replaced: Annotated[str, AfterValidator(_not_too_long)] = ""

    @model_validator(mode="after")
    def _faults_have_a_token(self) -> Self:
        if self.faults == "on" and not self.control_token:
            raise ValueError("FAULTS=on needs a CONTROL_TOKEN, else anyone could break the service")
        if self.replaced and self.faults == "off":
            raise ValueError(
                "REPLACED needs FAULTS=on: it is for labs, and never for a real system"
            )
        return self


S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S], *, port: int, instance: str) -> S:
    """Read `kind` from the environment.

    `port` and `instance` are the defaults of these two variables.

    Raises:
        BadSetting: with one line that names the variable, its value, and what is expected.
    """
    given = {name.upper() for name, value in os.environ.items() if value}
    defaults: dict[str, Any] = {"port": port, "instance": instance}
    missing = {name: value for name, value in defaults.items() if name.upper() not in given}
    try:
        return kind(**missing)
    except ValidationError as error:
        raise BadSetting("; ".join(map(_line, error.errors()))) from None


def _line(error: Any) -> str:
    if not error["loc"]:
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0]).upper()
    value = "(hidden)" if name in HIDDEN | LONG else repr(error["input"])
    return f"{name} is {value}: {error['msg'].removeprefix('Value error, ')}"
