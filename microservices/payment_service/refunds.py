"""The refunds that are owed: each is tried until the bank pays, and no partition waits for it.

A refund is a debt in the database from the moment an order is cancelled, so that no death of a replica forgets it.
"""

import logging

from sqlalchemy import Connection

from microservices.kit import coin
from microservices.kit.backoff import backoff
from microservices.kit.events.envelope import Cause
from microservices.kit.events.participant import Moment, Participant
from microservices.payment_service import debts
from microservices.payment_service.settings import PaymentSettings

log = logging.getLogger(__name__)

BATCH = 100
"""Refunds of one transaction."""

FIRST_SECONDS, LONGEST_SECONDS = 0.2, 30.0
"""The wait after the first refusal, which doubles with each one, and the longest wait."""


def pay_due(connection: Connection, *, participant: Participant, settings: PaymentSettings) -> bool:
    """Ask the bank for each refund that is due; return whether there were any."""
    rows = debts.due(connection, BATCH)
    for row in rows:
        attempt = row.attempts + 1
        if refused(row.order_id, attempt, settings):
            wait = backoff(attempt, first=FIRST_SECONDS, longest=LONGEST_SECONDS, spread=(1.0, 1.1))
            debts.postpone(connection, row.order_id, attempts=attempt, seconds=wait)
            log.warning("refund refused", extra={"orderId": row.order_id, "attempt": attempt})
            continue
        debts.pay(connection, row.order_id)
        cause = Cause(row.correlation_id, row.caused_by, row.traceparent)
        participant.step(Moment(connection, row.order_id, None, cause), "refund")
    return bool(rows)


def refused(order_id: str, attempt: int, settings: PaymentSettings) -> bool:
    """Return whether the bank refuses an attempt, from 1."""
    return coin.fails(
        seed=settings.seed,
        order_id=order_id,
        step=f"refund-{attempt}",
        rate=settings.refund_failure_rate,
    )
