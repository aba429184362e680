"""`python -m microservices.checker`: walk every way of the saga, and show the shortest way to each wrong state.

Exit codes: 0 when nothing is wrong, 1 when a property is broken, 2 for a request that makes no sense.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from microservices.checker.follow import Followed, follow
from microservices.checker.model import PARTICIPANTS, TABLES, Model, Reading
from microservices.checker.mutants import MUTANTS
from microservices.checker.search import Result, check
from microservices.kit.saga import Table

MOST_ORDERS = 3
"""Three orders have some hundred times as many states as two."""


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
    mutant = MUTANTS[given.mutant] if given.mutant else None
    model = replace(mutant.model() if mutant else Model(), orders=given.orders)
    if given.duplicates is not None:
        model = replace(model, duplicates=given.duplicates)
    if given.dead_letter:
        reading = _reading(given.dead_letter)
        model = replace(model, losses=1, lossy=model.lossy | {reading})
    if given.without:
        model = replace(model, tables=_without(model, given.without))
    return model


def _reading(text: str) -> Reading:
    """Read `payment/OrderCancelled`; the name of a service and that of a topic will do, too."""
    service, _, event = text.partition("/")
    name = service.removesuffix("-service")
    readings = {_topic(each): (who, each) for who, each in Model().readings if who == name}
    if _topic(event) not in readings:
        known = ", ".join("/".join(reading) for reading in Model().readings)
        raise ValueError(f"{text!r} names no event that a service consumes; there are: {known}")
    return readings[_topic(event)]


def _topic(event: str) -> str:
    return event.replace("-", "").lower()


def _without(model: Model, text: str) -> Mapping[str, Table]:
    """Return the model's tables without the cell that `payment/none/OrderCancelled` names."""
    name, _, cell = text.partition("/")
    state, _, event = cell.partition("/")
    name = name.removesuffix("-service")
    if name not in PARTICIPANTS or (state, event) not in TABLES[name]:
        cells = [f"{who}/{'/'.join(key)}" for who in PARTICIPANTS for key in TABLES[who]]
        raise ValueError(f"{text!r} is no cell of a table; there are: {', '.join(cells)}")
    rest = {key: step for key, step in model.tables[name].items() if key != (state, event)}
    return {**model.tables, name: rest}


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
