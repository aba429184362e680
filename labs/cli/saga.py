"""`lab audit`, `lab saga` and `lab check`: what orders record, the story of one, and the saga's design."""

import json
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from environment import Environment
from environment.client.status import aligned
from environment.errors import LabError
from labs.cli.frames import cell, lines_of, print_frame
from labs.cli.options import JsonOption, SessionOption, errors, say

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()

CHECKER = [sys.executable, "-P", "-m", "microservices.checker"]
"""The model checker. It walks the tables of the services, and needs no session."""

FEW_ENDS = 12
"""Ends that are listed; of more only the number is shown."""

EXERCISE = re.compile(r"p\d+-\d+")
"""The id of an exercise."""

AMOUNTS = ("total", "charged", "refunded")


@app.command()
def audit(session: SessionOption = None, as_json: JsonOption = False) -> None:
    """Compare what the services and the topics record of each order; exit 1 when an order contradicts itself."""
    from labs.audit import audit as read_audit

    orders = read_audit(Environment.attach(session))
    wrong = orders.attrs["books"]
    if as_json:
        print_frame(orders, as_json=True)
    else:
        _print_orders(orders)
    for sentence in wrong:
        errors.print(f"contradiction: {sentence}", style="bold red", markup=False, soft_wrap=True)
    if wrong or orders["contradicts"].any():
        raise typer.Exit(1)


def _print_orders(orders: "pd.DataFrame") -> None:
    """Print a row per order, those that contradict last, where a terminal shows them."""
    shown = orders.sort_values("contradicts", kind="stable")
    for name in AMOUNTS:
        shown[name] = [f"{amount / 100:.2f}" for amount in shown[name]]
    columns = ["order", "status", *AMOUNTS, "stock", "verdict"]
    if len(shown):
        print(lines_of(shown, columns), end="\n\n")
    kinds = Counter(verdict.partition(":")[0].partition(";")[0] for verdict in orders["verdict"])
    print(f"{len(orders):,} orders" + "".join(f", {n:,} {kind}" for kind, n in kinds.items()))


@app.command()
def saga(
    order: Annotated[str, typer.Argument(help="An order's id, or a correlation id.")],
    session: SessionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the story of one order: its events, what each follows from, and where it is stuck."""
    from labs import story

    env = Environment.attach(session)
    events = story.story(env, order)
    if as_json:
        return print_frame(events, as_json=True)
    read = story.readings(env, events)
    print(lines_of(story.table(events)), end="\n\n")
    print(story.diagram(events), end="\n\n")
    still = story.remaining(events, read)
    print("It has ended." if story.has_ended(events) else "It has not ended.")
    for sentence in still:
        print(cell(f"  {sentence}"))


@app.command(context_settings={"ignore_unknown_options": True})
def check(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="An exercise and your answer, such as p5-1 20; or, of the checker: --orders N, "
            "--duplicates N, --dead-letter SERVICE/EVENT, --without SERVICE/STATE/EVENT, --mutant NAME, "
            "--list, --json."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Of an exercise: the seed of your lab, which chooses your numbers."),
    ] = None,
) -> None:
    """Check an answer to an exercise, or walk every way of the saga with the model checker.

    It needs no session. Exit 1 when an answer is not right yet, or when a property is broken; the shortest way to a
    wrong state is shown.
    """
    given = arguments or []
    if given and EXERCISE.fullmatch(given[0]):
        return _check_answer(given[0], given[1:], seed)
    if seed is not None:
        raise LabError("--seed is for exercises, such as `lab check p1-1 5 --seed 8`.")
    as_it_is = bool({"--json", "--list"} & set(given))
    command = [*CHECKER, *given, *([] if as_it_is else ["--json"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout or done.returncode not in (0, 1):
        lines = done.stderr.strip().splitlines() or ["it printed nothing."]
        raise LabError(
            f"The checker refuses this: {lines[-1].partition('error: ')[2] or lines[-1]}"
        )
    print(done.stdout.rstrip() if as_it_is else _walk(json.loads(done.stdout)))
    raise typer.Exit(done.returncode)


def _check_answer(exercise: str, words: list[str], seed: int | None) -> None:
    from labs import exercises

    if not words:
        raise LabError(f"Which answer? For example: lab check {exercise} 5")
    values = [_value(word) for word in words]
    used = exercises.DEFAULT_SEED if seed is None else seed
    feedback = exercises.check(exercise, values[0] if len(values) == 1 else values, seed=used)
    print(feedback)
    if numbers := exercises.every_exercise(used)[exercise].numbers:
        say(f"Checked with the numbers of seed {used}: {numbers}. --seed chooses another seed.")
    say("Not kept for the hand-in: `exercises.check` in the lab keeps an answer, with its run.")
    raise typer.Exit(0 if feedback.right else 1)


def _value(word: str) -> Any:
    """Return a word of the command line as JSON, or else as the text that it is."""
    try:
        return json.loads(word)
    except ValueError:
        return word


def _walk(printed: dict[str, Any]) -> str:
    """Return what a walk found as text: its numbers, the ends, the broken properties, and the shortest trace."""
    ends, violations = printed["ends"], printed["violations"]
    numbers = [
        str(printed["states"]),
        str(len(ends)),
        str(len(violations)),
        f"{printed['seconds']:.2f}",
    ]
    parts = [aligned([["states", "ends", "broken properties", "seconds"], numbers])]
    if len(ends) <= FEW_ENDS:
        rows = [
            [coin, *states.split("/")] for coin, _, states in (end.partition(": ") for end in ends)
        ]
        parts.append(aligned([["coin", "order", "payment", "inventory"], *rows]))
    if not violations:
        return "\n\n".join([*parts, "Every property holds."])
    rows = [[each["property"], str(len(each["trace"]))] for each in violations]
    parts.append(aligned([["broken property", "steps of the shortest way"], *rows]))
    shortest = min(violations, key=lambda each: len(each["trace"]))
    steps = [f"{n:>4}. {step}" for n, step in enumerate(shortest["trace"], start=1)]
    parts.append("\n".join([f"The shortest way, to: {shortest['property']}", *steps]))
    return "\n\n".join(parts)
