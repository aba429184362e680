"""Dead letters: messages that cannot be used are set aside, as they came, with where they came from.

The consumer goes on with the partition's next message. Dead letters are kept in `<topic>-dlq`, and can be sent again
from there once the reason is repaired.
"""

import asyncio
import logging

from confluent_kafka import KafkaException

from microservices.kit.events.event_types import dead_letter_topic
from microservices.kit.events.producer import EventProducer
from microservices.kit.events.received import Received
from microservices.kit.events.record import Record

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.5


def dead_letter(message: Received, *, group: str, attempts: int, error: str) -> Record:
    """Return a message as a dead letter: its bytes, and in headers its origin and what went wrong."""
    origin = {
        "dlq.topic": message.topic,
        "dlq.partition": message.partition,
        "dlq.offset": message.offset,
        "dlq.timestamp": message.timestamp,
        "dlq.group": group,
        "dlq.attempts": attempts,
        "dlq.error": error,
    }
    headers = [*message.headers]
    headers += [(name, str(value).encode("utf-8", "replace")) for name, value in origin.items()]
    topic = dead_letter_topic(message.topic)
    return Record(topic, message.key, message.value, headers)


async def publish_dead_letter(producer: EventProducer, letter: Record) -> None:
    """Publish a dead letter; it is durable on return.

    Retries until then: the message would be lost otherwise.
    """
    while True:
        try:
            return await producer.send([letter])
        except (KafkaException, BufferError) as error:
            log.error("dead letter not written, trying again: %s", error)
        await asyncio.sleep(RETRY_SECONDS)
