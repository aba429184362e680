"""Measures how fast order-service 2 accepts orders: `.venv/bin/python scripts/bench_events.py [ROUNDS]`.

One replica of it and a broker, as processes. Each order is durable (order, answer and event in one transaction) before
it is accepted; the relay sends the events meanwhile, on the same two cores as everything else. Arrivals are on a
schedule (open loop), and latency counts from the intended start. Prints medians over the rounds with their range; no
test depends on them.
"""

import platform
import statistics
import sys
import time
from collections import defaultdict

import psutil
from confluent_kafka import Consumer, TopicPartition

from environment import Environment
from environment.waiting import wait_until
from labs.load import Stream, honesty, run_load

RATES = (250, 500, 1000, 1200)
SECONDS = 5
PARTITIONS = 6
ORDER = {
    "userId": "user-1",
    "items": [{"productId": "prod-1", "quantity": 2, "price": 19.99}],
}
found: defaultdict[tuple[int, str], list[float]] = defaultdict(list)


def published(bootstrap: str) -> int:
    """How many OrderCreated events lie in Kafka."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench"})
    places = [TopicPartition("order-created", partition) for partition in range(PARTITIONS)]
    ends = [reader.get_watermark_offsets(place, 10)[1] for place in places]
    reader.close()
    return sum(ends)


def measure(env: Environment, rate: int) -> None:
    bootstrap = env.state()["kafka"]["bootstrap"]
    before = published(bootstrap)
    replica = env["order-service"].replicas[0]
    assert replica.pid
    process, url = psutil.Process(replica.pid), replica.url + "/orders"
    cpu, began = sum(process.cpu_times()[:2]), time.monotonic()
    samples = run_load(Stream("orders", url, rate=rate, method="POST", body=ORDER), seconds=SECONDS)
    accepted = samples[samples["status"] == 201]
    assert wait_until(lambda: published(bootstrap) - before >= len(accepted), timeout=60)
    found[rate, "accepted of offered, %"].append(100 * len(accepted) / len(samples))
    found[rate, "p50, ms"].append(1000 * accepted["latency"].quantile(0.5))
    found[rate, "p99, ms"].append(1000 * accepted["latency"].quantile(0.99))
    found[rate, "generator's lag p99, ms"].append(1000 * samples["lag"].quantile(0.99))
    used = sum(process.cpu_times()[:2]) - cpu
    found[rate, "CPU per order, ms"].append(1000 * used / max(1, len(accepted)))
    # Longer than the load by what the relay has left to send.
    found[rate, "until all are in Kafka, s"].append(time.monotonic() - began)
    print(f"{rate}/s: {honesty(samples)}", file=sys.stderr)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    with Environment("phase4", runtime="process", only=["kafka", "order-service"]) as env:
        run_load(Stream("warm", env["order-service"].url + "/orders", 50, "POST", ORDER), seconds=2)
        for _ in range(rounds):
            for rate in RATES:
                measure(env, rate)
    print(f"{platform.platform()}, Python {platform.python_version()}, {psutil.cpu_count()} cores")
    for (rate, what), values in found.items():
        middle, least, most = statistics.median(values), min(values), max(values)
        print(f"{rate:5}/s  {what:28} {middle:8.1f}   ({least:.1f} to {most:.1f})")


if __name__ == "__main__":
    main()
