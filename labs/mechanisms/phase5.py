"""The mechanisms to write in lab 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.experiment import until_conclusive
from labs.experiments.phase5 import compensation_first, windows
from labs.mechanisms.writing import Mechanism

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict


def _judge_compensation(env: Environment) -> Verdict:
    prediction = compensation_first.predict(orders=5)
    samples = until_conclusive(compensation_first, prediction, env, orders=5)
    return compensation_first.judge(samples, prediction)


def _judge_watermark(env: Environment) -> Verdict:
    prediction = windows.predict()
    samples = until_conclusive(windows, prediction, env, seconds=9)
    return windows.judge(samples, prediction)


MECHANISMS = (
    Mechanism(
        title="A compensation",
        service="payment-service",
        target="participation.compensate",
        task=(
            "Write the compensation without the saga's table. It is called in a transaction for each event after which "
            "a payment has to be undone, and any of these events may come first, come again, or come after another "
            "one. `participant.find` and `participant.save` read and store the state of an order, `store.find_charge` "
            "reads its charge, and `debts.owe` writes a debt, which another part of the service pays."
        ),
        lines=10,
        judge=_judge_compensation,
    ),
    Mechanism(
        title="A watermark",
        service="analytics-service",
        target="watermark.newest_common",
        task=(
            "Write the function that decides how far the watermark may go. A `Position` of a partition has the time of "
            "its newest event that was read, whether messages are unread, and for how long none was read. `is_active` "
            "returns whether the watermark has to wait for the partition."
        ),
        lines=6,
        judge=_judge_watermark,
    ),
)
