"""The verbs of a session: what a notebook or a terminal can ask its supervisor to do, and what it gets back.

A verb is a method of one of three protocols. Which protocol declares it decides how it is carried out:

- `Lifetime`: by the supervisor itself, also before anything runs;
- `Looking`: by the session, and it never waits for a change that is under way;
- `Changing`: by the session, one at a time.

A verb with a parameter `say` reports its progress there. To add one, declare it here and implement it in
`environment/supervisor/session.py`; the client (`environment/client/connection.py`) sends whatever is declared here.

What a verb returns is described in `environment/states.py`.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Literal, Protocol, get_type_hints

from pydantic import TypeAdapter, ValidationError

from environment.errors import LabError
from environment.nginx import READ_TIMEOUT, Algorithm
from environment.progress import Say, silent
from environment.states import AccessLog, Points, SessionState, Timing

Point = Literal["begun", "committed", "sent"]
"""A point of an event's way: `microservices/kit/points.py` describes each."""

SERVING = "serving"
"""A supervisor that is ready for verbs prints this word and the session's name."""


@dataclass(frozen=True)
class Holder:
    """What caused a fault: block number `block` of process `process`, or (with zeros) a command in a terminal."""

    process: int = 0
    block: int = 0

    def __str__(self) -> str:
        if not self.process:
            return "a `lab` command"
        return f"a fault block of process {self.process}"


TERMINAL = Holder()


class Lifetime(Protocol):
    """What the supervisor itself does."""

    def state(self) -> SessionState:
        """Return everything that `lab ps --json` prints."""
        ...

    def start(self, *, say: Say = silent) -> SessionState:
        """Start what the phase describes and does not run yet; return when all of it is ready."""
        ...

    def detach(self) -> None:
        """Keep the session when its owner ends, until `down`."""
        ...

    def down(self) -> None:
        """Drain and remove the session."""
        ...

    def kafka_page(self) -> str:
        """Return the address of the page that shows the broker; start the page when it does not run."""
        ...


class Looking(Protocol):
    """What changes nothing."""

    def url(self, service: str) -> str:
        """Return where a service is reached, without a look at its replicas: a state takes a request to each."""
        ...

    def logs(self, target: str, lines: int) -> str:
        """Return the last lines of a service (each replica under its id) or of one replica."""
        ...

    def points(self, target: str) -> dict[str, Points]:
        """Return what passed the points of each replica of a service, or of one replica, by its id."""
        ...

    def access_log(self) -> AccessLog:
        """Return nginx's access log."""
        ...


class Changing(Protocol):
    """What changes the system. `targets` are names of services (all their replicas) or ids of replicas."""

    def scale(self, service: str, replicas: int, *, reload: bool = True, say: Say = silent) -> None:
        """Make `replicas` (1 to 8) the number of replicas; those that leave are drained.

        Without `reload` nginx keeps its list of addresses, also of those that have left.
        """
        ...

    def configure(self, service: str, settings: Mapping[str, str], *, say: Say = silent) -> None:
        """Replace the replicas in place, one after the other, with other settings; if one fails, restore all."""
        ...

    def roll(
        self, service: str, version: str, replicas: Sequence[int] = (), *, say: Say = silent
    ) -> None:
        """Replace the replicas with these numbers (or all) in place by another version; if one fails, restore all."""
        ...

    def balance(
        self,
        algorithm: Algorithm,
        service: str | None = None,
        *,
        weights: Sequence[int] = (),
        max_fails: int = 1,
        fail_timeout: int = 1,
        backup: Sequence[int] = (),
        forwarded: bool = False,
        read_timeout: int = READ_TIMEOUT,
    ) -> None:
        """Set how nginx chooses among the replicas of one service, or of every service."""
        ...

    def restart(self, targets: Sequence[str], *, say: Say = silent) -> list[Timing]:
        """Stop the targets and start them again, all at the same time; this ends their faults, and no replacement."""
        ...

    def kill(self, targets: Sequence[str], *, holder: Holder = TERMINAL) -> None:
        """Send SIGKILL to the targets."""
        ...

    def stop(self, targets: Sequence[str], *, holder: Holder = TERMINAL, say: Say = silent) -> None:
        """Drain the targets: SIGTERM, and SIGKILL after the service's grace period."""
        ...

    def pause(self, targets: Sequence[str], *, holder: Holder = TERMINAL) -> None:
        """Freeze the targets: they accept connections and never answer."""
        ...

    def slow(self, targets: Sequence[str], seconds: float, *, holder: Holder = TERMINAL) -> None:
        """Make each request to the targets wait for `seconds`."""
        ...

    def fail(
        self, targets: Sequence[str], status: int, rate: float, *, holder: Holder = TERMINAL
    ) -> None:
        """Make the targets answer a share `rate` (0 to 1) of the requests with `status`."""
        ...

    def lose_database(self, targets: Sequence[str], *, holder: Holder = TERMINAL) -> None:
        """Take the databases away from the targets."""
        ...

    def hold(
        self,
        targets: Sequence[str],
        *,
        hold: Mapping[str, Sequence[str]] | None = None,
        relay: bool = False,
        poison: Mapping[str, Sequence[str]] | None = None,
        overdue: Sequence[str] = (),
        holder: Holder = TERMINAL,
    ) -> None:
        """Hold the events of orders (`*`: of every one) by topic, and with `relay` publish nothing.

        The effects of those in `poison` raise, and the deadlines of those in `overdue` count as passed.
        """
        ...

    def crash(
        self,
        targets: Sequence[str],
        at: Point,
        event: str,
        after: int = 0,
        *,
        overdue: Sequence[str] = (),
        holder: Holder = TERMINAL,
    ) -> None:
        """End the targets (exit code 137) when an event passes a point, after so many passes.

        Until then the deadlines of the orders in `overdue` count as passed.
        """
        ...

    def replace(
        self,
        service: str,
        target: str,
        source: str,
        *,
        holder: Holder = TERMINAL,
        say: Say = silent,
    ) -> None:
        """Start the replicas of a service anew, each with `source` in place of a function or class of its code.

        Replicas that start later have it too, until it is healed. If one fails to start, restore all.
        """
        ...

    def heal(self, targets: Sequence[str], *, say: Say = silent) -> None:
        """End the faults of the targets, whatever caused them; return when they are ready.

        A target that is a service also gets its own code back.
        """
        ...

    def end_fault(self, holder: Holder, *, say: Say = silent) -> None:
        """Heal what this holder caused, replacements too; what has been healed since is passed over."""
        ...


class Verbs(Lifetime, Looking, Changing, Protocol):
    """All verbs, as a client sees them."""


@dataclass(frozen=True)
class Verb:
    """One verb: its name, and the protocol that declares it."""

    name: str
    protocol: type

    @property
    def reports(self) -> bool:
        """Whether it reports progress."""
        return "say" in self._signature.parameters

    @property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(getattr(self.protocol, self.name))

    def arguments(self, *positional: object, **named: object) -> dict[str, Any]:
        """Return the arguments by name, checked against the declaration.

        Raises:
            LabError: one is missing, unknown or of the wrong type.
        """
        try:
            given = self._signature.bind(None, *positional, **named).arguments
        except TypeError as error:
            names = [name for name in self._signature.parameters if name not in ("self", "say")]
            raise LabError(f"The verb is {self.name}({', '.join(names)}): {error}.") from error
        return {name: self._checked(name, value) for name, value in given.items() if name != "self"}

    def _checked(self, name: str, value: object) -> Any:
        try:
            return _types(self)[name].validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"].lower()
            raise LabError(f"`{self.name}` refuses {name}={value!r}: {reason}.") from error


@cache
def _types(verb: Verb) -> dict[str, TypeAdapter[Any]]:
    hints = get_type_hints(getattr(verb.protocol, verb.name))
    return {name: TypeAdapter(hint) for name, hint in hints.items() if name != "return"}


@cache
def all_verbs() -> dict[str, Verb]:
    """Return every declared verb by its name."""
    return {
        name: Verb(name, protocol)
        for protocol in (Lifetime, Looking, Changing)
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def find_verb(name: str) -> Verb:
    """Return the verb of that name. Raises `LabError` that lists the verbs."""
    verbs = all_verbs()
    if name not in verbs:
        near = get_close_matches(name, list(verbs), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise LabError(
            f"There is no verb {name!r}.{hint} The verbs are: {', '.join(sorted(verbs))}."
        )
    return verbs[name]
