"""Measures events: `.venv/bin/python scripts/bench_events.py rates|growth|sagas [ROUNDS] [--most EVENTS]`.

`rates`: how fast one replica of order-service 2 accepts orders, each durable (order and event in one transaction)
before it is accepted; the relay sends the events meanwhile, on the same cores as everything else. Beside it the same
number of requests for `/health`: what the machine and HTTP alone need, with no order and no disk.
`growth`: how accepting, relay, drain and replay grow with the number of events, from 10^3 to 10^5.
`sagas`: how long the sagas of phase 5 take at 50 orders per second, on one replica of each participant and on three,
from the intended start to the end, with the messages and the CPU time of all services per order. Everything runs as
processes. Arrivals are on a schedule (open loop), and latency counts from the intended start. Prints medians over the
rounds with their range; no test depends on them.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections import defaultdict

import pandas as pd
import psutil

from environment import Environment
from environment.client.environment import Service
from environment.waiting import wait_until
from labs.experiments.phase5 import rest, saga_throughput
from labs.experiments.phase5.names import PARTICIPANTS
from labs.load.open_loop import Stream, run_load
from labs.load.schedule import load_report

RATES = (250, 500, 1000, 1500)
SECONDS = 10
FILL_RATE = 500
"""Orders per second while a backlog grows: what the machine accepts at ease."""

LAST = 1000
"""Orders at the end of the filling: their latency is that of a full outbox."""

SAGA_RATE = 50
"""Orders per second of the sagas."""

LIMIT_SECONDS = 600.0
ORDER = {
    "userId": "user-1",
    "items": [{"productId": "prod-1", "quantity": 2, "price": 19.99}],
}
results: defaultdict[tuple[str, str], list[float]] = defaultdict(list)


def ask(env: Environment, rate: float, seconds: float) -> pd.DataFrame:
    """Send requests for `/health` to one replica of order-service, at the rate of orders."""
    url = env["order-service"].replicas[0].url + "/health"
    return run_load(Stream("health", url, rate), seconds=seconds)


def orders(env: Environment, rate: float, seconds: float) -> pd.DataFrame:
    """Place orders at one replica of order-service; return the samples, and print whether the schedule was kept."""
    url = env["order-service"].replicas[0].url + "/orders"
    samples = run_load(Stream("orders", url, rate, "POST", ORDER), seconds=seconds)
    print(f"{rate}/s: {load_report(samples)}", file=sys.stderr)
    return samples.assign(accepted=samples["status"] == 201)


def messages(env: Environment, topic: str) -> int:
    """Return the number of messages in a topic."""
    table = env.kafka.topics().set_index("topic")["messages"]
    return int(table.get(topic, 0))


def until(env: Environment, topic: str, count: int) -> float:
    """Return the seconds until a topic holds `count` messages."""
    began = time.monotonic()
    if not wait_until(lambda: messages(env, topic) >= count, timeout=LIMIT_SECONDS, every=0.1):
        raise TimeoutError(f"{topic}: {messages(env, topic)} of {count} messages")
    return time.monotonic() - began


def waits(env: Environment) -> pd.Series:
    """Return the seconds that each of the last events waited for the relay to publish it."""
    events = env.kafka.read("order-created", offset="latest", limit=LAST)
    made = pd.to_datetime(
        events["value"].map(lambda value: json.loads(value)["timestamp"]), utc=True
    )
    return (pd.to_datetime(events["time"], utc=True) - made).dt.total_seconds()


def until_read(env: Environment, group: str, count: int) -> float:
    """Return the seconds until a group has consumed all messages, at least `count`."""
    began = time.monotonic()

    def done() -> bool:
        lag = env.kafka.lag(group)
        return bool(lag["end"].sum() >= count and lag["lag"].sum() == 0)

    if not wait_until(done, timeout=LIMIT_SECONDS, every=0.2):
        raise TimeoutError(f"{group}: {env.kafka.lag(group)['lag'].sum()} messages behind")
    return time.monotonic() - began


def process_of(service: Service) -> psutil.Process:
    """Return the process of a service's first replica."""
    pid = service.replicas[0].pid
    assert pid
    return psutil.Process(pid)


def rates_round() -> None:
    """Measure one round of rates."""
    with Environment("phase4", runtime="process", only=["kafka", "order-service"]) as env:
        orders(env, 200, 5)  # to warm up, Kafka's compiler too
        process = process_of(env["order-service"])
        for rate in RATES:
            health = ask(env, rate, SECONDS)["latency"]
            before, cpu = messages(env, "order-created"), sum(process.cpu_times()[:2])
            began = time.monotonic()
            samples = orders(env, rate, SECONDS)
            good = samples[samples["accepted"]]
            until(env, "order-created", before + len(good))
            # Longer than the load by what the relay has left to send.
            took, used = time.monotonic() - began, sum(process.cpu_times()[:2]) - cpu
            variant = f"{rate}/s"
            results["accepted of offered, %", variant].append(100 * len(good) / len(samples))
            results["p50, ms", variant].append(1000 * good["latency"].quantile(0.5))
            results["p99, ms", variant].append(1000 * good["latency"].quantile(0.99))
            results["p99 of /health, ms", variant].append(1000 * health.quantile(0.99))
            results["generator's lag p99, ms", variant].append(1000 * samples["lag"].quantile(0.99))
            results["CPU per order, ms", variant].append(1000 * used / max(1, len(good)))
            results["until all are in Kafka, s", variant].append(took)
            results["an event waits, p50, ms", variant].append(1000 * waits(env).median())


def growth_round(events: int) -> None:
    """Fill the outbox while the broker is dead; then relay, drain and replay what is in it."""
    variant = f"{events:,} orders"
    services = ["kafka", "order-service", "payment-service", "analytics-service"]
    quick = {"payment-service": {"PAYMENT_SECONDS": 0}}
    with Environment("phase4", runtime="process", only=services, settings=quick) as env:
        orders(env, 50, 2)
        process = process_of(env["order-service"])
        until_read(env, "order-service-group", 100)
        with env["analytics-service"].stopped():
            with env["payment-service"].stopped():
                with env["kafka"].killed():
                    samples = orders(env, FILL_RATE, events / FILL_RATE)
                    last = samples[samples["accepted"]].tail(LAST)["latency"]
                    began = time.monotonic()
                accepted = 100 + int(samples["accepted"].sum())
                until(env, "order-created", accepted)
                results["broker back and relay, s", variant].append(time.monotonic() - began)
                results["accept p50 at the end, ms", variant].append(1000 * last.quantile(0.5))
                results["accept p99 at the end, ms", variant].append(1000 * last.quantile(0.99))
                results["order-service, MiB", variant].append(process.memory_info().rss / 2**20)
                began = time.monotonic()
            until(env, "order-confirmed", accepted)
            results["drain, s", variant].append(time.monotonic() - began)
            began = time.monotonic()
        until_read(env, "analytics-service-group", 3 * accepted)
        results["replay of all events, s", variant].append(time.monotonic() - began)


def cpu_seconds(env: Environment) -> float:
    """Return the CPU time that all processes of a session have used so far, in seconds."""
    pids = [replica.pid for name in env.services for replica in env[name].replicas]
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids if pid)


def saga_messages(env: Environment) -> int:
    """Return the number of events in the topics, without dead letters."""
    table = env.kafka.topics()
    return int(table.loc[~table["topic"].str.endswith("-dlq"), "messages"].sum())


def sagas_round() -> None:
    """Measure one round of sagas, on one replica of each participant and then on three."""
    services = ["kafka", *PARTICIPANTS, "analytics-service", "notification-service"]
    stock = {"inventory-service": {"STOCK": "prod-1=1000000"}}
    with Environment("phase5", runtime="process", only=services, settings=stock) as env:
        saga_throughput.measure(env, replicas=(1,), seconds=5)  # to warm up, Kafka's compiler too
        for count in (1, 3):
            for service in PARTICIPANTS:
                env.scale(service, count)
            before, cpu = saga_messages(env), cpu_seconds(env)
            samples = saga_throughput.measure(env, replicas=(count,), rate=SAGA_RATE, seconds=30)
            rest.wait_for_rest(env)
            placed = SAGA_RATE * (30 + saga_throughput.WARM_SECONDS)
            used, sent = cpu_seconds(env) - cpu, saga_messages(env) - before
            variant, ended = f"{count} of each", samples["total"].dropna()
            print(f"{variant}: {load_report(samples)}", file=sys.stderr)
            results["ended of placed, %", variant].append(100 * len(ended) / len(samples))
            results["accept to end p50, ms", variant].append(1000 * ended.quantile(0.5))
            results["accept to end p99, ms", variant].append(1000 * ended.quantile(0.99))
            results["messages per order", variant].append(sent / placed)
            results["CPU per order, ms", variant].append(1000 * used / placed)
            results["idle cores", variant].append(float(samples["idle"].iloc[0]))


def main() -> None:
    """Measure, and print medians over the rounds with their range."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["rates", "growth", "sagas"])
    parser.add_argument("rounds", nargs="?", type=int, default=3)
    parser.add_argument("--most", type=int, default=100_000, help="events of the largest backlog")
    asked = parser.parse_args()
    for number in range(asked.rounds):
        print(f"round {number + 1} of {asked.rounds}", file=sys.stderr)
        if asked.what == "rates":
            rates_round()
        elif asked.what == "sagas":
            sagas_round()
        else:
            for events in (n for n in (1_000, 10_000, 100_000) if n <= asked.most):
                growth_round(events)
    print(f"{platform.platform()}, Python {platform.python_version()}, {psutil.cpu_count()} cores")
    print(f"{'':<28}{'':<16}{'median':>10}{'least':>10}{'most':>10}")
    for (what, variant), values in sorted(results.items(), key=lambda row: row[0][0]):
        shown = (statistics.median(values), min(values), max(values))
        print(f"{what:<28}{variant:<16}" + "".join(f"{value:10.1f}" for value in shown))


if __name__ == "__main__":
    main()
