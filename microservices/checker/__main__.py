"""`python -m microservices.checker`: walk every way of the saga, and show the shortest way to each wrong state.

Exit codes: 0 when nothing is wrong, 1 when a property is broken, 2 for a request that makes no sense.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from microservices.checker.follow import Followed, follow
from microservices.checker.model import (
    CHOREOGRAPHY,
    ORCHESTRATION,
    PARTICIPANTS,
    Model,
    Reading,
)
from microservices.checker.mutants import MUTANTS, without
from microservices.checker.search import Result, check

COORDINATIONS = {"choreography": CHOREOGRAPHY, "orchestration": ORCHESTRATION}

MOST_ORDERS = 3
"""Three orders have two million states, a hundred times as many as two: some minutes, and half a gigabyte."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line asks for, print the result, and return the exit code."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(f"{name:34}{mutant.what}" for name, mutant in MUTANTS.items()))
        return 0
    try:
        model = _model(given)
    except ValueError as problem:
        parser.error(str(problem))
    if given.follow is not None:
        if given.orders != 1:
            parser.error("--follow goes with one order")
        steps = follow(model, [action.strip() for action in given.follow.split(">")])
        as_rows = [step._asdict() for step in steps]
        print(json.dumps({"steps": as_rows}, indent=2) if given.json else _followed(steps))
        return 0
    result = check(model)
    print(json.dumps(result.to_json(), indent=2) if given.json else _text(result))
    return 1 if result.violations else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m microservices.checker", description=__doc__)
    parser.add_argument(
        "--orders", type=int, default=1, help=f"orders that want one item, 1 to {MOST_ORDERS}"
    )
    parser.add_argument(
        "--duplicates", type=int, default=None, help="deliveries that happen once more, at any time"
    )
    parser.add_argument(
        "--dead-letter",
        metavar="SERVICE/EVENT",
        help="an event that this service may give up, such as payment/OrderCancelled",
    )
    parser.add_argument(
        "--without",
        metavar="SERVICE/STATE/EVENT",
        help="a cell of a table to leave out, such as payment/none/OrderCancelled",
    )
    parser.add_argument(
        "--coordination",
        choices=COORDINATIONS,
        default="choreography",
        help="how the participants find each other; mutants are those of the choreography",
    )
    parser.add_argument("--mutant", metavar="NAME", help="a wrong design; --list names them")
    parser.add_argument(
        "--follow",
        metavar="ACTIONS",
        help="take these actions and show the states: 'publish OrderCreated > deadline'",
    )
    parser.add_argument("--list", action="store_true", help="list the mutants")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _model(given: argparse.Namespace) -> Model:
    if not 1 <= given.orders <= MOST_ORDERS:
        raise ValueError(f"--orders is 1 to {MOST_ORDERS}, not {given.orders}")
    if given.duplicates is not None and not 0 <= given.duplicates <= 3:
        raise ValueError(f"--duplicates is 0 to 3, not {given.duplicates}")
    if given.mutant is not None and given.mutant not in MUTANTS:
        raise ValueError(f"no mutant {given.mutant!r}; there are: {', '.join(MUTANTS)}")
    if given.mutant is not None and given.coordination != "choreography":
        raise ValueError("--mutant names a wrong choreography: leave --coordination out")
    right = Model(coordination=COORDINATIONS[given.coordination])
    wrong = MUTANTS[given.mutant].model() if given.mutant else None
    model = replace(wrong or right, orders=given.orders)
    if given.duplicates is not None:
        model = replace(model, duplicates=given.duplicates)
    if given.dead_letter:
        reading = _reading(model, given.dead_letter)
        model = replace(model, losses=1, lossy=model.lossy | {reading})
    return _without(model, given.without) if given.without else model


def _reading(model: Model, text: str) -> Reading:
    """Read `payment/OrderCancelled`; the name of a service and that of a topic will do, too."""
    service, _, event = text.partition("/")
    name = service.removesuffix("-service")
    readings = {_topic(each): (who, each) for who, each in model.readings if who == name}
    if _topic(event) not in readings:
        known = ", ".join("/".join(reading) for reading in model.readings)
        raise ValueError(f"{text!r} names no event that a service consumes; there are: {known}")
    return readings[_topic(event)]


def _topic(event: str) -> str:
    return event.replace("-", "").lower()


def _without(model: Model, text: str) -> Model:
    """Return the model without the cell that `payment/none/OrderCancelled` names."""
    name, _, cell = text.partition("/")
    state, _, event = cell.partition("/")
    name, tables = name.removesuffix("-service"), model.coordination.tables
    if name not in PARTICIPANTS or (state, event) not in tables[name]:
        cells = [f"{who}/{'/'.join(key)}" for who in PARTICIPANTS for key in tables[who]]
        raise ValueError(f"{text!r} is no cell of a table; there are: {', '.join(cells)}")
    return without((name, state, event), model=model)


def _followed(steps: Sequence[Followed]) -> str:
    rows = [
        f"{number:2}. {step.action:36}{'/'.join(step[2:]) if step.possible else 'not possible'}"
        for number, step in enumerate(steps, 1)
    ]
    return "\n".join(rows)


def _text(result: Result) -> str:
    lines = [
        f"{result.states} states, {result.edges} steps, {len(result.ends)} ends, {result.seconds:.2f} s"
    ]
    for name, trace in result.violations.items():
        lines += ["", f"BROKEN: {name}", *(f"  {n}. {step}" for n, step in enumerate(trace, 1))]
    return "\n".join(lines if result.violations else [*lines, "every property holds"])


if __name__ == "__main__":
    sys.exit(main())
