"""Refusals: what Kafka's errors mean for a record that was to be sent.

An error that will pass (Kafka is away, a leader is elected) is worth another try. One that never will (too large for
the topic, not authorised, malformed) would hold up everything behind the record, so the record is set aside.
"""

from collections.abc import Sequence

from confluent_kafka import KafkaError, KafkaException

TOO_LARGE = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE}
GONE = {
    *(KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION),
    *(KafkaError.UNKNOWN_TOPIC_ID, KafkaError.INCONSISTENT_TOPIC_ID),
}
"""The topic was deleted: `topics.py` creates it again."""

PASSING = {
    KafkaError.NO_ERROR,
    # These protocol errors are retriable by Kafka's own list.
    *(KafkaError.INVALID_MSG, KafkaError.LEADER_NOT_AVAILABLE),  # a damaged message: sent again
    *(KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REQUEST_TIMED_OUT),
    *(KafkaError.BROKER_NOT_AVAILABLE, KafkaError.REPLICA_NOT_AVAILABLE),
    *(KafkaError.NETWORK_EXCEPTION, KafkaError.STALE_CTRL_EPOCH),
    *(KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.COORDINATOR_NOT_AVAILABLE),
    *(KafkaError.NOT_COORDINATOR, KafkaError.NOT_CONTROLLER),
    *(KafkaError.NOT_ENOUGH_REPLICAS, KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND),
    *(KafkaError.KAFKA_STORAGE_ERROR, KafkaError.LISTENER_NOT_FOUND),
    *(KafkaError.FENCED_LEADER_EPOCH, KafkaError.UNKNOWN_LEADER_EPOCH),
    *(KafkaError.THROTTLING_QUOTA_EXCEEDED, KafkaError.CONCURRENT_TRANSACTIONS),
    # The producer's own state: another one, or a new number, is accepted.
    *(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, KafkaError.DUPLICATE_SEQUENCE_NUMBER),
    *(KafkaError.UNKNOWN_PRODUCER_ID, KafkaError.INVALID_PRODUCER_EPOCH),
    *(KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_ID_MAPPING),
    *GONE,
}

MALFORMED = {
    *(KafkaError._BAD_MSG, KafkaError._INVALID_ARG, KafkaError._INVALID_TYPE),
    *(KafkaError._NOT_IMPLEMENTED, KafkaError._UNSUPPORTED_FEATURE, KafkaError._BAD_COMPRESSION),
    *(KafkaError._KEY_SERIALIZATION, KafkaError._VALUE_SERIALIZATION),
}
"""Of the client's own errors those that the record causes; the others are about the connection."""


class NotSent(Exception):
    """Kafka has not acknowledged every record; `errors` has one entry per record, `None` for an acknowledged one."""

    def __init__(self, errors: Sequence[Exception | None]) -> None:
        self.errors = errors
        super().__init__(next(error for error in errors if error is not None))


def will_pass(error: Exception) -> bool:
    """Return whether another try may succeed without a change of the record or of its topic."""
    if isinstance(
        error, TypeError | ValueError | OverflowError
    ):  # the client cannot encode the record
        return False
    code = code_of(error)
    if code is None:
        return True
    return code not in MALFORMED if code < 0 else code in PASSING


def is_too_large(error: Exception | None) -> bool:
    """Return whether a shorter record may be accepted."""
    return error is not None and code_of(error) in TOO_LARGE


def is_gone(error: Exception | None) -> bool:
    """Return whether the topic does not exist."""
    return error is not None and code_of(error) in GONE


def code_of(error: Exception) -> int | None:
    """Return Kafka's number of an error, `None` for an error that is not Kafka's."""
    if isinstance(error, KafkaException) and error.args and isinstance(error.args[0], KafkaError):
        return error.args[0].code()
    return None
