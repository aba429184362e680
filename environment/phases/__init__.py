"""The phases of the course: each is a file of variables for docker-compose.yml, read by both `lab` and Compose."""

from pathlib import Path

from environment.errors import DescriptionError, UnknownName

FOLDER = Path(__file__).parent


def phase_names() -> list[str]:
    """Return the phases that can be started, in the course's order."""
    return sorted(path.stem for path in FOLDER.glob("*.env"))


def read_phase(phase: str) -> dict[str, str]:
    """Return the variables of one phase: `COMPOSE_PROFILES` and the version of each service."""
    if phase not in phase_names():
        raise UnknownName(
            f"There is no phase {phase!r}. The phases are: {', '.join(phase_names())}."
        )
    variables = {}
    for number, line in enumerate((FOLDER / f"{phase}.env").read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, separator, value = line.partition("=")
        if not separator or not name.isidentifier():
            raise DescriptionError(
                f"{phase}.env line {number}: expected NAME=VALUE, found {line!r}"
            )
        variables[name] = value.strip()
    return variables
