"""Idempotency: a request that is sent twice with one `Idempotency-Key` has one effect.

A table holds, per user and key, the fingerprint of the request and the answer. A request first
*claims* its key, then works, then stores its answer together with its effect. While one request
works, another one with the same key, in any replica, waits for the answer. A claim has a deadline:
when its holder was killed, the next request takes over.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass

from fastapi import Request
from pydantic import BaseModel
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Float,
    MetaData,
    String,
    Table,
    Text,
    and_,
    select,
)

from microservices.kit import clock
from microservices.kit.database import Database
from microservices.kit.http.problem import Problem

CLAIM_SECONDS = 10.0
"""How long a claim lasts: longer than any work that is done under one, else two would work at once."""

POLL_SECONDS = 0.05
ACCEPTED = re.compile(r"[\x21-\x7e]{1,255}")


def idempotency_key(request: Request) -> str | None:
    """Return the request's key, `None` without one.

    Raises:
        Problem: 400, the key is repeated, empty, too long, or not visible ASCII.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not ACCEPTED.fullmatch(keys[0]):
        raise Problem(400, "Idempotency-Key: send one, of 1 to 255 visible ASCII characters")
    return keys[0]


def fingerprint(body: BaseModel) -> str:
    """Return a hash of the meaning of a body: white space makes no difference."""
    return hashlib.sha256(body.model_dump_json().encode()).hexdigest()


def answers_table(metadata: MetaData) -> Table:
    """Declare the table of claims and answers."""
    return Table(
        "answers",
        metadata,
        Column("user_id", String(64), primary_key=True),
        Column("key", String(255), primary_key=True),
        Column("fingerprint", String(64), nullable=False),
        Column("claimed_until", Float, nullable=False),
        Column("answer", Text),
    )


@dataclass(frozen=True)
class Claim:
    """The right to work on one key until `until`, on the clock that all replicas share."""

    user_id: str
    key: str
    until: float


async def claim_or_answer(
    database: Database, answers: Table, *, user_id: str, key: str, asked: str
) -> Claim | str:
    """Claim a key, or return its answer, after a wait when another request works on it.

    Raises:
        Problem: 422, the key belongs to a request with another body.
    """
    while True:
        outcome = await database.write(claim, answers, user_id=user_id, key=key, asked=asked)
        if outcome is not None:
            return outcome
        await asyncio.sleep(POLL_SECONDS)


def claim(
    connection: Connection, answers: Table, *, user_id: str, key: str, asked: str
) -> Claim | str | None:
    """Claim a key, or return its answer; `None` while another request works on it.

    Raises:
        Problem: 422, the key belongs to a request with another body.
    """
    same_key = (answers.c.user_id == user_id) & (answers.c.key == key)
    row = connection.execute(select(answers).where(same_key)).one_or_none()
    now = clock.shared_seconds(connection)
    new_claim = Claim(user_id, key, now + CLAIM_SECONDS)
    if row is None:
        values = {
            "user_id": user_id,
            "key": key,
            "fingerprint": asked,
            "claimed_until": new_claim.until,
        }
        connection.execute(answers.insert().values(values))
        return new_claim
    check_same(row.fingerprint, asked)
    if row.answer is not None:
        return str(row.answer)
    if clock.runs(row.claimed_until, now, CLAIM_SECONDS):
        return None
    connection.execute(answers.update().where(same_key).values(claimed_until=new_claim.until))
    return new_claim


def check_same(first: str, asked: str) -> None:
    """Refuse a key that was used with another body.

    Raises:
        Problem: 422.
    """
    if first != asked:
        raise Problem(422, "this Idempotency-Key was used with another body: use a new key")


def answer(connection: Connection, answers: Table, claim: Claim, body: str) -> None:
    """Store the answer, in the transaction of the effect that it reports.

    Raises:
        Problem: 503, the claim ran out and another request holds the key; nothing is stored.
    """
    statement = answers.update().where(_held(answers, claim)).values(answer=body)
    if connection.execute(statement).rowcount != 1:
        detail = (
            "this request took too long and another one holds its Idempotency-Key; send it again"
        )
        raise Problem(503, detail, headers={"Retry-After": "1"})


def stored_answer(connection: Connection, answers: Table, claim: Claim) -> str | None:
    """Return the answer under the key of a claim, `None` while there is none."""
    same_key = (answers.c.user_id == claim.user_id) & (answers.c.key == claim.key)
    return connection.execute(select(answers.c.answer).where(same_key)).scalar_one_or_none()


def release(connection: Connection, answers: Table, claim: Claim) -> None:
    """Give up a claim without an answer, so that a repeat need not wait.

    The key and its fingerprint stay: the work may have had half of its effect.
    """
    connection.execute(answers.update().where(_held(answers, claim)).values(claimed_until=0))


def _held(answers: Table, claim: Claim) -> ColumnElement[bool]:
    return and_(
        answers.c.user_id == claim.user_id,
        answers.c.key == claim.key,
        answers.c.claimed_until == claim.until,
        answers.c.answer.is_(None),
    )
