"""The smallest evidence of a failure: one request or order that shows it, with what each service logged about it.

An experiment may offer `evidence(samples, prediction)`, which returns the `Counterexample` of samples that fail.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from environment.client.status import aligned
from environment.errors import LabError
from labs.published import read_published
from labs.story import place_of
from labs.verdicts import Outcome

if TYPE_CHECKING:
    from environment import Environment
    from labs.experiment import Experiment

COLUMNS = ["time", "replica", "line"]

LINES = 1_000_000
"""Lines of a log that are read: more than any session writes."""

MOST_LINES = 30
"""Lines that are shown: the first and the last of a longer trail."""

MOST_CHARACTERS = 160
"""Characters of a line that are shown."""

EVERY_LINE = {
    *("level", "logger", "message", "service", "version", "instance", "time"),
    *("correlationId", "exc_info", "seconds"),
}
"""Fields of a log line that are not shown behind its message."""

BROKER = "kafka"


@dataclass(frozen=True)
class Counterexample:
    """The sample that contradicts a prediction.

    Attributes:
        name: Its correlation id or order id.
        text: What it is, such as "an order that was charged twice".
    """

    name: str
    text: str


@dataclass(frozen=True)
class Evidence:
    """A counterexample, and its trail (`read_trail`); displays itself."""

    counterexample: Counterexample
    trail: pd.DataFrame
    silent: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the counterexample is, in one sentence."""
        return f"The smallest evidence: {self.counterexample.text} ({self.counterexample.name})."

    @property
    def remark(self) -> str:
        """Which services neither logged nor published anything about it; empty when each did."""
        if not self.silent:
            return ""
        return (
            f"No line about it is in the log of {', '.join(self.silent)}: a service logs requests "
            "that may change something, and failures."
        )

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        began = self.trail["time"].min()
        rows = [
            (f"{1000 * (time - began):.1f}", replica, _shortened(line))
            for time, replica, line in self.trail.itertuples(index=False)
        ]
        half, left_out = MOST_LINES // 2, len(rows) - MOST_LINES
        if left_out > 0:
            rows[half:-half] = [("", "", f"... {left_out} more lines ...")]
        yield from rows

    def __repr__(self) -> str:
        table = aligned([("ms", "replica", "log line or event"), *self._rows()])
        return "\n".join(filter(None, [self.title, table, self.remark]))

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="text-align:right">{html.escape(ms)}</td><td>{html.escape(replica)}</td>'
            f'<td style="text-align:left;font-family:monospace">{html.escape(line)}</td></tr>'
            for ms, replica, line in self._rows()
        )
        return (
            f"<p>{html.escape(self.title)}</p><table><thead><tr><th>ms</th><th>replica</th>"
            f"<th>log line or event</th></tr></thead><tbody>{rows}</tbody></table>"
            f"<p>{html.escape(self.remark)}</p>"
        )


def _shortened(line: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in line)
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"


def find_evidence(
    env: Environment, experiment: Experiment, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Evidence | None:
    """Return the evidence of samples whose verdict is fail.

    None for another verdict, and for an experiment that names no request or order.
    """
    if experiment.judge(samples, prediction).outcome is not Outcome.FAIL:
        return None
    counterexample = counterexample_of(experiment, samples, prediction)
    if counterexample is None:
        return None
    trail, silent = read_trail(env, counterexample.name)
    return Evidence(counterexample, trail, silent)


def counterexample_of(
    experiment: Experiment, samples: pd.DataFrame, prediction: pd.DataFrame
) -> Counterexample | None:
    """Return the sample that an experiment's `evidence` chooses; None for an experiment without one."""
    choose = getattr(experiment, "evidence", None)
    found: Counterexample | None = choose(samples, prediction) if choose else None
    return found


def first_order(
    samples: pd.DataFrame, wrong: Mapping[str, pd.Series[bool]], *, column: str = "order"
) -> Counterexample | None:
    """Return the first order that is wrong; None when there is none.

    Args:
        samples: A row per order.
        wrong: Of each kind of failure, as a text such as "an order that was charged twice", the rows that show it.
        column: The column of the orders' ids.
    """
    for text, rows in wrong.items():
        for name in samples.loc[rows.fillna(False).astype(bool), column].fillna(""):
            if name:
                return Counterexample(str(name), text)
    return None


def read_trail(env: Environment, name: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return what services logged and published about a request or an order, and the services that did neither.

    A line belongs to it when it holds the id, or the correlation id of an event of the order.

    Args:
        env: A running environment.
        name: A correlation id, or an order's id.

    Returns:
        A table, sorted by time, and names of services. Columns: `time` (unix seconds, by the clock of the service),
        `replica` (that logged the line; the service that published the event), `line` (what it logged, or the event
        and its place).
    """
    events = _events(env, name)
    ids = {name, *(event["correlation"] for event in events)}
    rows = [
        [event["at"], event["by"], f"published {event['type']} at {place_of(event)}"]
        for event in events
    ]
    publishers, silent = {event["by"] for event in events}, []
    for service in env.services:
        lines = [fields for line in env[service].logs(LINES).splitlines() if (fields := _own(line))]
        about = [fields for fields in lines if ids & set(map(str, fields.values()))]
        rows += [[_time(fields), fields["instance"], text_of(fields)] for fields in about]
        if lines and not about and service not in publishers:
            silent.append(service)
    table = pd.DataFrame(rows, columns=COLUMNS).sort_values("time", kind="stable")
    return table.reset_index(drop=True), tuple(silent)


def _events(env: Environment, name: str) -> list[dict[str, Any]]:
    """Return the events of an order or of a correlation id; none when there is no broker, or it does not answer."""
    if BROKER not in env.services:
        return []
    try:
        published = read_published(env)
    except LabError:
        return []
    own = (published["order"] == name) | (published["correlation"] == name)
    return published[own].to_dict("records")  # type: ignore[return-value]  # its keys are texts


def _own(line: str) -> dict[str, Any] | None:
    """Return the fields of a line that a service of the course logged; None for any other line."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    wanted = isinstance(fields, dict) and {"time", "instance", "message"} <= set(fields)
    return fields if wanted else None


def _time(fields: Mapping[str, Any]) -> float:
    return pd.Timestamp(fields["time"]).timestamp()


def text_of(fields: Mapping[str, Any]) -> str:
    """Return a log line as a person reads it: the message, its further fields, and the error in one line."""
    more = [f"{name}={value}" for name, value in fields.items() if name not in EVERY_LINE]
    error = str(fields.get("exc_info") or "").strip().splitlines()[-1:]
    return " ".join([str(fields["message"]), *more, *error])
