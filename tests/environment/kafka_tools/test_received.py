"""The headers of a message whose header names are not UTF-8: on librdkafka's own mock cluster, which needs no Java."""

from tests.odd_headers import RECORDS, RETURNED, raised_by


def test_odd_headers_raise_at_every_call() -> None:
    assert raised_by("environment.kafka.received") == {"SystemError": RECORDS, RETURNED: RECORDS}
