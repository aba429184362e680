"""`python -m tests.odd_headers MODULE`: a `received.py` reads many records with an odd header.

The interpreter specialises a call after it was made some times. A specialised call does not look for the error that the
client library sets beside the list it returns, so that the error appears somewhere later, or the null pointer in the
list ends the process: this is a process of its own. It prints a line per record: what reading its headers raised.
"""

import subprocess
import sys
from collections import Counter
from importlib import import_module

from confluent_kafka import Consumer, Message, Producer, TopicPartition

from tests.odd_records import ODD_NAME, send_odd_record

RECORDS = 12
TOPIC = "odd"
FIRST, LATER = ((ODD_NAME, b"2"), (b"good", b"1")), ((b"good", b"1"), (ODD_NAME, b"2"))
RETURNED = "nothing"


def raised_by(module: str) -> Counter[str]:
    """Return how often reading the headers of an odd record raised which error, in a process of its own."""
    command = [sys.executable, "-m", __name__, module]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"it ended with {done.returncode}: {done.stderr[-2000:]}"
    return Counter(done.stdout.split())


def records() -> list[Message]:
    """Odd records, each between two that are not, from a broker inside librdkafka."""
    owner = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": ""})
    broker = next(iter(owner.list_topics(timeout=10).brokers.values()))
    bootstrap = f"{broker.host}:{broker.port}"
    for number in range(RECORDS):
        owner.produce(TOPIC, b"value", b"key", partition=0, headers=[("a", b"1"), ("b", b"2")])
        assert owner.flush(10) == 0
        headers = FIRST if number % 2 else LATER
        send_odd_record(bootstrap, TOPIC, b"value", b"key", partition=0, headers=headers)
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "a-group"})
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    messages: list[Message] = []
    while len(messages) < 2 * RECORDS:
        messages += reader.consume(2 * RECORDS - len(messages), 20)
    reader.close()
    return messages


def main(module: str) -> None:
    """Receive each record, and print what its one call of `headers` raised."""
    received = import_module(module)
    read_headers = received.read_headers

    def observed(message: Message) -> object:
        try:
            pairs = read_headers(message)
        except Exception as error:
            print(type(error).__name__, flush=True)
            raise
        print(RETURNED, flush=True)
        return pairs

    received.read_headers = observed
    for number, message in enumerate(records()):
        odd = number % 2 == 1
        assert bool(received.receive(message).headers) is not odd


if __name__ == "__main__":
    main(*sys.argv[1:])
