"""Dead letters: messages that nobody can use are set aside, as they came, with where they came from.

The partition moves on behind them. Whoever has mended the reason sends them again, from ``<topic>-dlq``.
"""

import asyncio
import logging

from confluent_kafka import KafkaException, Message

from microservices.kit.events.event_types import Record, dead_letter_topic
from microservices.kit.events.producer import EventProducer

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


def dead_letter(message: Message, *, group: str, attempts: int, error: str) -> Record:
    """Return a message as a dead letter: its bytes, and in headers its origin and what went wrong."""
    about = {
        "dlq.topic": message.topic(),
        "dlq.partition": message.partition(),
        "dlq.offset": message.offset(),
        "dlq.timestamp": message.timestamp()[1],  # milliseconds since the epoch
        "dlq.group": group,
        "dlq.attempts": attempts,
        "dlq.error": error,
    }
    headers = [*(message.headers() or [])]
    headers += [(name, str(value).encode("utf-8", "replace")) for name, value in about.items()]
    topic = dead_letter_topic(str(message.topic()))
    return Record(topic, message.key(), message.value(), headers)


async def bury(producer: EventProducer, letter: Record) -> None:
    """Write a dead letter; on return it is durable. Tries until it is: else it would be lost."""
    while True:
        try:
            return await producer.send([letter])
        except (KafkaException, BufferError) as error:
            log.error("dead letter not written, trying again: %s", error)
        await asyncio.sleep(RETRY_SECONDS)
