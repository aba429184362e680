"""The office for dead letters: what it is given is durable on return, and nothing waits behind it for ever.

Kafka is away               -> wait, and try again: the message would be lost otherwise
its topic is gone           -> it is created again (`topics.py`), and the letter is sent
its topic finds it too large -> a shorter letter, down to its origin
its topic refuses it for good -> a row in this service's own database, sent again now and then
"""

import asyncio
import json
import logging
from base64 import b64decode, b64encode
from collections import defaultdict
from contextlib import suppress
from typing import Any, Protocol, Self

from confluent_kafka import KafkaException
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    select,
)

from microservices.kit.columns import POSITION
from microservices.kit.database import Database
from microservices.kit.events.dead_letters import fitting
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.record import Record
from microservices.kit.events.refusals import NotSent, is_too_large, will_pass

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
AGAIN_SECONDS = 5.0
"""How often the letters in the database are tried again."""

table = Table(
    "dead_letters",
    MetaData(),
    Column("position", POSITION, primary_key=True),
    Column("topic", String(255), nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", Text, nullable=False),
    Column("error", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""The letters that their topics refuse, in the database of each service that consumes events."""


class EnsuresTopics(Protocol):
    """Creates a topic that may be missing."""

    async def ensure(self, topic: str) -> None:
        """Return when the topic exists; raise `KafkaException` when it cannot be created."""


class DeadLetterOffice:
    """Publishes dead letters, and keeps in the database what Kafka refuses for good."""

    def __init__(
        self, database: Database, producer: EventProducer, topics: EnsuresTopics | None = None
    ) -> None:
        self._database, self._producer, self._topics = database, producer, topics
        # One letter at a time in each topic: the broker measures a batch, and would refuse one for its neighbour.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def publish(self, letter: Record) -> None:
        """Publish a letter, or store it; it is durable on return."""
        while (error := await self._attempt(letter)) is not None:
            if not will_pass(error):
                log.error("dead letter refused, stored in the database: %s", error)
                await self._database.write(store, letter, str(error))
                return
            log.error("dead letter not written, trying again: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def kept(self) -> int:
        """Return how many letters are in the database, refused by their topics."""
        return await self._database.read(count)

    async def _attempt(self, letter: Record) -> Exception | None:
        error: Exception | None = None
        async with self._turns[letter.topic]:
            for each in fitting(letter):
                error = await self._send(each)
                if not is_too_large(error):
                    break
        return error

    async def _send(self, letter: Record) -> Exception | None:
        try:
            if self._topics is not None:
                await self._topics.ensure(letter.topic)
            await self._producer.send([letter])
        except NotSent as error:
            return error.errors[0]
        except (KafkaException, BufferError) as error:
            return error
        return None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                await self._send_again()
            except Exception as error:  # whatever it is, the next attempt may succeed
                log.error("refused dead letters wait", exc_info=error)

    async def _send_again(self) -> None:
        """Send the stored letters. With several replicas one may be sent twice."""
        for position, letter in await self._database.read(oldest):
            if error := await self._attempt(letter):
                log.warning("dead letter still refused: %s", error)
            else:
                await self._database.write(remove, position)


def store(connection: Connection, letter: Record, error: str) -> None:
    """Insert a letter."""
    headers = [
        [name, None if value is None else b64encode(value).decode()]
        for name, value in letter.headers
    ]
    row = {"topic": letter.topic, "key": letter.key, "value": letter.value}
    connection.execute(table.insert().values(**row, headers=json.dumps(headers), error=error))


def oldest(connection: Connection, limit: int = 100) -> list[tuple[int, Record]]:
    """Return the oldest letters, each with its position."""
    rows = connection.execute(select(table).order_by(table.c.position).limit(limit)).all()
    return [(row.position, Record(row.topic, row.key, row.value, headers_of(row))) for row in rows]


def headers_of(row: Any) -> list[tuple[str, bytes | None]]:
    """Return the headers of a stored letter."""
    pairs = json.loads(row.headers)
    return [(name, None if value is None else b64decode(value)) for name, value in pairs]


def remove(connection: Connection, position: int) -> None:
    """Delete a letter that Kafka has acknowledged."""
    connection.execute(table.delete().where(table.c.position == position))


def count(connection: Connection) -> int:
    """Return the number of letters."""
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
