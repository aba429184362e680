"""What the handbook shows of the saga: the tables, their pictures, and what the model checker finds in them.

A chapter marks the places with comments, `<!-- made: NAME -->` and `<!-- end -->`; what stands between them is made
from the services' own tables. After a change of a table:

    python -m microservices.saga_document handbook
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType

from microservices.asyncapi import services
from microservices.checker.follow import Followed, follow
from microservices.checker.model import COINS, ORCHESTRATION, PARTICIPANTS, TABLES, Model
from microservices.checker.mutants import MUTANTS, changed, given_up, without
from microservices.checker.properties import ALL
from microservices.checker.search import Result, check
from microservices.inventory_service import saga as inventory
from microservices.kit.events.event_types import EVENTS, Data
from microservices.kit.saga import CONTRADICTION, Table
from microservices.order_service import saga as order
from microservices.payment_service import saga as payment
from microservices.saga_chart import FAILS, states, svg

FIRST = {"order": order.FIRST, "payment": payment.FIRST, "inventory": inventory.FIRST}
"""The state of a new order at each participant."""

FIGURES = "figures"
"""The folder of the pictures, in that of the chapters."""

CHECKER = "python -m microservices.checker"

WALKS = (
    ("one order, and no deadline passes", "", Model(sweeper=False)),
    ("one order", CHECKER, Model()),
    ("one order, one delivery repeated", f"{CHECKER} --duplicates 1", Model(duplicates=1)),
    ("one order, two deliveries repeated", f"{CHECKER} --duplicates 2", Model(duplicates=2)),
    ("two orders that want one item", f"{CHECKER} --orders 2", Model(orders=2)),
    (
        "one order, with a coordinator",
        f"{CHECKER} --coordination orchestration",
        Model(coordination=ORCHESTRATION),
    ),
)
"""The models whose size the chapter states: what they hold, the command that walks each, and the model."""

SHOWN = "no-tombstone-payment"
"""The design whose counter-example the chapter follows."""

FIRST_COURSE = changed(
    {
        (name, state, event): None
        for name in PARTICIPANTS
        for state, event in TABLES[name]
        if event not in ("OrderCreated", "PaymentCompleted", "PaymentFailed")
    }
)
"""The cells that the course before this one had: a charge, a reservation, and a cancel when the payment fails."""

PAYMENT_FAILS, INVENTORY_FAILS = 0.3, 0.2
SHARES = {
    "all well": (1 - PAYMENT_FAILS) * (1 - INVENTORY_FAILS),
    "payment fails": PAYMENT_FAILS,
    "inventory fails": (1 - PAYMENT_FAILS) * INVENTORY_FAILS,
}
"""The share of the orders that each coin has, at the rates of that course."""

_MARK = re.compile(r"<!-- made: ([\w -]+) -->")
_BLOCK = re.compile(r"(<!-- made: ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(name: str) -> str:
    """Return a participant's table: a row for each state, a column for each event."""
    transitions = TABLES[name]
    events = list(dict.fromkeys(event for _, event in transitions))
    rows = [["state", *(f"`{event}`" for event in events)]]
    for state in states(transitions, FIRST[name]):
        rows.append([f"**{state}**", *(_cell(transitions, state, event) for event in events)])
    return _markdown(rows)


def _cell(transitions: Table, state: str, event: str) -> str:
    step = transitions.get((state, event))
    if step is None:
        return ""
    if step is CONTRADICTION:
        return "*contradiction*"
    outcomes = [step.to + _published(step.publishes)]
    if step.if_fails is not None:
        outcomes.append(f"{FAILS} {step.if_fails.to}{_published(step.if_fails.publishes)}")
    return "; ".join(outcomes)


def _published(names: Sequence[str]) -> str:
    return f" / {', '.join(names)}" if names else ""


def ends() -> str:
    """Return the ends of one order, and which of them need a deadline that passes."""
    result = check(Model())
    in_time = check(Model(sweeper=False)).ends
    rows = [["coin", *(f"{name}-service" for name in PARTICIPANTS), "needs a deadline"]]
    for end in sorted(
        result.ends, key=lambda end: (COINS.index(end[0][0]), end not in in_time, end)
    ):
        (row,) = end  # one order
        rows.append([*row, "" if end in in_time else "yes"])
    count = f"One order: {_number(result.states)} states, {len(result.ends)} ends."
    return f"{_markdown(rows)}\n\n{count}"


def given_up_readings() -> str:
    """Return for each reading what is wrong when its event is given up."""
    rows = [["service", "consumes", "when it is given up", "so the service"]]
    for name, event in Model().readings:
        broken, trace = _shortest(check(given_up([(name, event)])))
        rows.append(
            [
                f"{name}-service",
                event,
                f"not kept, after {len(trace)} steps: {broken}" if trace else "nothing is wrong",
                "tries for ever" if trace else "writes a dead letter after three attempts",
            ]
        )
    return _markdown(rows)


def walks() -> str:
    """Return the size of each model."""
    rows = [["model", "command", "states", "steps", "ends", "broken properties"]]
    for what, command, model in WALKS:
        result = check(model)
        sizes = (result.states, result.edges, len(result.ends), len(result.violations))
        rows.append([what, f"`{command}`" if command else "", *map(_number, sizes)])
    return _markdown(rows)


def properties() -> str:
    """Return the properties, as a list."""
    return "\n".join(f"- {text}" for text in ALL)


def designs() -> str:
    """Return each wrong design with the property that its shortest counter-example breaks, shortest first."""
    rows = []
    for name, mutant in MUTANTS.items():
        broken, trace = _shortest(check(mutant.model()))
        rows.append((len(trace), [f"`{name}`", mutant.what, broken or "nothing"]))
    rows.sort(key=lambda row: (not row[0], row[0]))
    head = ["design", "what is wrong in it", "property that breaks first", "steps"]
    return _markdown([head, *([*row, _number(steps) if steps else ""] for steps, row in rows)])


def followed() -> str:
    """Return the shown design's counter-example, with the states after each action there and in the saga itself."""
    wrong = MUTANTS[SHOWN].model()
    _, trace = _shortest(check(wrong))
    rows = [["", "action", f"states in `{SHOWN}`", "states in the saga"]]
    both = zip(follow(wrong, trace), follow(Model(), trace), strict=True)
    for number, (broken, right) in enumerate(both, 1):
        rows.append([_number(number), broken.action, _states(broken), _states(right)])
    return _markdown(rows)


def cells() -> str:
    """Return what breaks when a cell is left out, and whether an order can be completed without it."""
    rows = [["left out", "property that breaks", "steps", "can an order be completed?"]]
    for name in PARTICIPANTS:
        for (state, event), step in TABLES[name].items():
            if step is CONTRADICTION:
                continue
            result = check(without((name, state, event)))
            broken, trace = _shortest(result)
            completed = any(end[0][1] == "completed" for end in result.ends)
            steps = _number(len(trace)) if trace else ""
            rows.append(
                [f"`{name}/{state}/{event}`", broken or "none", steps, "yes" if completed else "no"]
            )
    return _markdown(rows)


def first_course() -> str:
    """Return how orders end with the subscriptions of the course before this one, and how many of 100 end so."""
    model = Model(changed=FIRST_COURSE, sweeper=False)
    rows = [["coin", *(f"{name}-service" for name in PARTICIPANTS), "of 100 orders"]]
    for ((coin, *reached),) in sorted(check(model).ends, key=lambda end: COINS.index(end[0][0])):
        rows.append([coin, *reached, f"{100 * SHARES[coin]:.0f}"])
    return _markdown(rows)


def topics() -> str:
    """Return the topics with the services that publish and consume each, without and with a coordinator."""
    head = [
        "topic",
        "published by",
        "consumed by",
        "with a coordinator, published by",
        "consumed by",
    ]
    twins = [services(), services(orchestrated=True)]
    rows = [
        [
            f"`{kind.topic}`",
            *(_named(names) for modules in twins for names in _users(kind, modules)),
        ]
        for kind in EVENTS
    ]
    return _markdown([head, *rows])


def _users(kind: type[Data], modules: Mapping[str, ModuleType]) -> tuple[list[str], list[str]]:
    """Return the services that publish events of a type, and those that consume them."""
    publish = [name for name, each in modules.items() if kind in getattr(each, "PUBLISHES", ())]
    return publish, [name for name, each in modules.items() if kind in each.CONSUMES]


def _named(names: Sequence[str]) -> str:
    return ", ".join(name.removesuffix("-service") for name in names)


def _states(step: Followed) -> str:
    named = "/".join((step.order, step.payment, step.inventory))
    return named if step.possible else f"{named} (not possible)"


def _shortest(result: Result) -> tuple[str, list[str]]:
    """Return the property that breaks in the fewest steps and the way there; nothing where every property holds."""
    return min(result.violations.items(), key=lambda found: len(found[1]), default=("", []))


def _number(number: int) -> str:
    return f"{number:,}"


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    head, *body = rows
    marks = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *body))


BLOCKS: Mapping[str, Callable[[], str]] = {
    **{f"table {name}": partial(table, name) for name in PARTICIPANTS},
    "ends": ends,
    "given up": given_up_readings,
    "walks": walks,
    "properties": properties,
    "designs": designs,
    "counter-example": followed,
    "cells": cells,
    "first course": first_course,
    "topics": topics,
}
"""What a chapter may show, by the name in its comment."""


def filled(text: str) -> str:
    """Return a chapter with what stands in its marked places made anew.

    Raises:
        ValueError: A mark names nothing that this module makes, or has no end.
    """
    for name in _MARK.findall(text):
        if name not in BLOCKS:
            raise ValueError(f"nothing is made as {name!r}; there are: {', '.join(BLOCKS)}")
    if marked(text) != _MARK.findall(text):
        raise ValueError(f"a mark has no end; these have one: {', '.join(marked(text))}")
    return _BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]]()}\n\n{found[3]}", text)


def marked(text: str) -> list[str]:
    """Return the names of a chapter's marked places."""
    return [name for _, name, _ in _BLOCK.findall(text)]


def figures() -> dict[str, str]:
    """Return the pictures by their file names."""
    return {
        f"saga_{name}.svg": svg(
            TABLES[name], first=FIRST[name], title=f"The states of an order at {name}-service"
        )
        for name in PARTICIPANTS
    }


def write(folder: Path) -> None:
    """Make the pictures and the marked places of the chapters in this folder anew."""
    (folder / FIGURES).mkdir(exist_ok=True)
    for name, picture in figures().items():
        (folder / FIGURES / name).write_text(picture, encoding="utf-8")
    for chapter in folder.glob("*.md"):
        text = chapter.read_text(encoding="utf-8")
        if marked(text):
            chapter.write_text(filled(text), encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Write into the folder that the command line names."""
    (folder,) = arguments
    write(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
