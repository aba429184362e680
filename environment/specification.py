"""The system that `Environment(...)` or `lab up` asks for, checked, and sent to the supervisor."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environment.compose import COMPOSE_FILE
from environment.errors import LabError
from environment.passwords import POSTGRES
from environment.phases import read_phase

RuntimeName = Literal["auto", "docker", "process"]

DatabaseName = Literal["sqlite", "postgresql"]
"""Where services keep their data: each in a file of its own, or each in a database of its own on one server."""

POSTGRESQL_URL = f"postgresql://{POSTGRES}:5432"
"""The address of the server; a service adds its own name as the user and the database."""


class Specification(BaseModel):
    """One system to start. `only` empty means every service of the phase; `owner` None means detached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: str
    runtime: RuntimeName = "auto"
    seed: int = 7
    only: tuple[str, ...] = ()
    versions: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    settings: dict[str, dict[str, str]] = Field(default_factory=dict)
    replicas: dict[str, Annotated[int, Field(ge=1, le=8)]] = Field(default_factory=dict)
    fixed_ports: bool = False
    database: DatabaseName = "sqlite"
    description: Path = COMPOSE_FILE
    owner: str | None = None

    @classmethod
    def checked(cls, **values: object) -> "Specification":
        """Return a specification. Raises `LabError` that names each wrong value and the reason."""
        try:
            specification = cls.model_validate(values)
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            raise LabError(f"That environment cannot be made: {reasons}.") from error
        read_phase(specification.phase)  # an unknown phase is an error before anything is launched
        return specification

    def variables(self) -> dict[str, str]:
        """Return the variables for docker-compose.yml: the phase's, and those of the database."""
        variables = read_phase(self.phase)
        if self.database == "sqlite":
            return variables
        profiles = [profile for profile in variables["COMPOSE_PROFILES"].split(",") if profile]
        added = {
            "COMPOSE_PROFILES": ",".join([*profiles, POSTGRES]),
            "DATABASE_URL": POSTGRESQL_URL,
        }
        return variables | added

    @property
    def wanted(self) -> tuple[str, ...]:
        """The services to run: those of `only`, with the server of their databases; empty for all."""
        if not self.only or self.database == "sqlite" or POSTGRES in self.only:
            return self.only
        return (*self.only, POSTGRES)
