"""The mechanisms to write in lab 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.experiment import until_conclusive
from labs.experiments.phase4 import dual_write, duplicates
from labs.mechanisms.writing import Mechanism

if TYPE_CHECKING:
    from environment import Environment
    from labs.verdicts import Verdict


def _judge_inbox(env: Environment) -> Verdict:
    prediction = duplicates.predict(deliveries=(1, 2))
    samples = until_conclusive(duplicates, prediction, env, deliveries=(1, 2), orders=2)
    return duplicates.judge(samples, prediction)


def _judge_relay(env: Environment) -> Verdict:
    prediction = dual_write.predict(orders=2)
    samples = until_conclusive(dual_write, prediction, env, orders=2)
    return dual_write.judge(samples, prediction)


MECHANISMS = (
    Mechanism(
        title="An inbox",
        service="payment-service",
        target="kit.events.inbox.accept",
        task=(
            "Write the inbox. It is called in the transaction of an event's effect, before that effect, and `table` "
            "has one column, `event_id`. A rollback of the transaction undoes the effect too, and the event is "
            "delivered again; another replica may have processed the event before; several events may share one "
            "transaction."
        ),
        lines=7,
        judge=_judge_inbox,
    ),
    Mechanism(
        title="The relay of an outbox",
        service="order-service",
        target="kit.events.relay.Relay.publish_oldest",
        task=(
            "Write the part of the relay that moves events from the outbox to Kafka. `outbox.first` reads rows with "
            "their positions and `outbox.remove` deletes the rows up to a position, by `self._database.read` and "
            "`self._database.write`; other transactions write new rows meanwhile. The replica may be killed between "
            "any two lines: an event may then be published twice, and none may be lost."
        ),
        lines=14,
        judge=_judge_relay,
    ),
)
