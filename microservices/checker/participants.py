"""`python -m microservices.checker.participants`: the participants of the saga, as a coordinator calls them by HTTP.

They follow the tables that the services run. `--mutant NAME` changes cells as the checker does. States are kept in
memory, for as long as the standard input is open; the first line of output is the port.

- `POST /ORDER/PARTICIPANT/EVENT` takes the step of an event, and answers `{"state": ...}`.
- `PUT /hold/EVENT` keeps requests with this event from their table, as a slow network does; `DELETE` lets them go on.
- `GET /ORDER` shows the states of an order, how often it was charged and refunded, and how often each event was `begun`
  (the request arrived) and `done` (the table was asked).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from microservices.checker.model import TABLES
from microservices.checker.mutants import MUTANTS
from microservices.kit.saga import Contradiction, Table, decide

FIRST = "none"
"""The state of an order that a participant has not met."""

HELD_SECONDS = 120.0
"""The longest time for which a request is kept from its table."""


class Participants:
    """The states of each order at each participant, and what was done in its name."""

    def __init__(self, tables: Mapping[str, Table] = TABLES) -> None:
        self._tables = tables
        self._changed = threading.Condition()
        self._held: set[str] = set()
        self._states: dict[tuple[str, str], str] = {}
        self._counts: dict[str, Counter[str]] = {}

    @property
    def names(self) -> list[str]:
        """The participants."""
        return list(self._tables)

    def hold(self, event: str, *, on: bool) -> None:
        """Keep requests with this event from their table, or let them go on."""
        with self._changed:
            (self._held.add if on else self._held.discard)(event)
            self._changed.notify_all()

    def receive(self, order: str, participant: str, event: str) -> str:
        """Take the step for an event, once it is not held; return the state after it.

        Raises:
            Contradiction: No correct coordinator sends this event in this state.
            KeyError: There is no such participant.
        """
        table = self._tables[participant]
        with self._changed:
            counts = self._counts.setdefault(order, Counter())
            counts[f"{participant} {event} begun"] += 1
            self._changed.wait_for(lambda: event not in self._held, HELD_SECONDS)
            counts[f"{participant} {event} done"] += 1
            state = self._states.get((order, participant), FIRST)
            for symbol in (event, "refund"):  # a refund that is owed is paid at once
                step = decide(table, state, symbol)
                state = self._states[order, participant] = step.to
                counts["charges"] += "PaymentCompleted" in step.publishes
                counts["refunds"] += "PaymentRefunded" in step.publishes
            return state

    def show(self, order: str) -> dict[str, object]:
        """Return the states of an order, and its counts."""
        with self._changed:
            states = {name: self._states.get((order, name), FIRST) for name in self._tables}
            counts = Counter(self._counts.get(order, Counter()))
        return {
            "states": states,
            "charges": counts.pop("charges", 0),
            "refunds": counts.pop("refunds", 0),
            "events": counts,
        }


def handler(participants: Participants) -> type[BaseHTTPRequestHandler]:
    """Return the handler of requests to these participants."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, participants.show(self.path.strip("/")))

        def do_POST(self) -> None:
            try:
                state = participants.receive(*self.path.strip("/").split("/"))
            except (Contradiction, KeyError, TypeError) as problem:
                self._answer(409, {"problem": str(problem)})
            else:
                self._answer(200, {"state": state})

        def do_PUT(self) -> None:
            self._hold(on=True)

        def do_DELETE(self) -> None:
            self._hold(on=False)

        def _hold(self, *, on: bool) -> None:
            participants.hold(self.path.removeprefix("/hold/"), on=on)
            self._answer(200, {})

        def _answer(self, status: int, body: Mapping[str, object]) -> None:
            payload = json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                pass  # the caller has given up, or was killed; what was done stays done

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    return Handler


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve on a free port of this machine until the standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m microservices.checker.participants")
    parser.add_argument("--mutant", choices=MUTANTS, help="a wrong design of the checker")
    given = parser.parse_args(arguments)
    tables = MUTANTS[given.mutant].model().tables if given.mutant else TABLES
    others = {name: table for name, table in tables.items() if name != "order"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Participants(others)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
