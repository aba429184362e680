"""What a replica needs to become ready, and this session does not have."""

import re
from collections.abc import Container, Iterable, Mapping

from environment.compose import Service, read_description
from environment.phases import phase_names, read_phase


def missing(
    service: Service, *, version: str, settings: Mapping[str, str], present: Container[str]
) -> list[str]:
    """Return the services that a replica of this version needs, that its settings name, and that are not `present`.

    An address that names none of the described services is another system's: whether it answers shows later.
    """
    values = {**service.environment, **settings}
    return [
        name
        for name, conditions in service.x_lab.needs.items()
        if name not in present
        and any(_holds(condition, version, values) for condition in conditions)
        and any(_names(value, name) for value in values.values())
    ]


def explained(lacking: Mapping[str, Iterable[str]], *, phase: str, chosen: Iterable[str]) -> str:
    """Return the message about services, by their names and versions, each with what it lacks."""
    whole = sorted({name for names in lacking.values() for name in names})
    reasons = ", ".join(
        f"{service} needs {' and '.join(names)}" for service, names in lacking.items()
    )
    begin = f"Without {' and '.join(whole)} this session would never be ready: {reasons}."
    if absent := [name for name in whole if phase not in _phases_with(name)]:
        where = ", ".join(_phases_with(absent[0])) or "no phase"
        return f"{begin} {phase} has no {absent[0]}; these have one: {where}."
    only = ", ".join(f'"{name}"' for name in [*whole, *chosen])
    return f"{begin} Name {'it' if len(whole) == 1 else 'them'} as well: only=[{only}]."


def _phases_with(service: str) -> list[str]:
    return [
        phase
        for phase in phase_names()
        if service in read_description(variables=read_phase(phase)).services
    ]


def _holds(condition: str, version: str, values: Mapping[str, str]) -> bool:
    name, is_setting, value = condition.partition("=")
    if is_setting:
        return values.get(name) == value
    since = int(condition.removeprefix("version "))
    return version.isdigit() and int(version) >= since


def _names(address: str, service: str) -> bool:
    """Return whether a setting's value is an address `host:port`, or several, on this host."""
    host = rf"(?:^|[@,]){re.escape(service)}:\d"
    return re.search(host, address.partition("://")[2] or address) is not None
