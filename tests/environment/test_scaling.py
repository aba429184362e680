"""Copies behind one front door: nginx follows, shared state is shared, and nothing is lost on the way."""

import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pandas as pd
import psutil
import pytest

from environment import Environment, LabError
from environment.waiting import wait_until
from tests.residue import nothing_left

pytestmark = pytest.mark.timeout(120)

SETTINGS = {"payment-service": {"PAYMENT_SECONDS": 0.05}}
REPLICAS = {"api-gateway": 3}
ORDER = {"items": [{"productId": "prod-1", "quantity": 1, "price": 5}]}


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    environment = Environment(
        "phase2", runtime=request.param, settings=SETTINGS, replicas=REPLICAS
    ).start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


@pytest.fixture(autouse=True)
def three_replicas(env: Environment) -> None:
    env.scale("api-gateway", 3)


CLIENT = httpx.Client(timeout=10, headers={"Connection": "close"})
"""A new connection for each request, which nginx's newest worker answers."""


def get(url: str, **headers: str) -> httpx.Response:
    return CLIENT.get(url, headers=headers)


def door(env: Environment, path: str = "") -> str:
    return env["api-gateway"].url + path


@contextmanager
def load(url: str, *, threads: int = 4) -> Iterator[list[int | str]]:
    """Keep-alive clients that ask as fast as they are answered; what each request came to."""
    outcomes: list[int | str] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(timeout=5) as client:
            while not over.is_set():
                try:
                    outcomes.append(client.get(url).status_code)
                except httpx.HTTPError as error:
                    outcomes.append(repr(error))

    with ThreadPoolExecutor(threads) as pool:
        asking = [pool.submit(ask) for _ in range(threads)]
        try:
            yield outcomes
        finally:
            over.set()
    for each in asking:
        each.result()


def test_the_front_door_is_nginx(env: Environment) -> None:
    state = env.state()
    assert state["url"] == env["nginx"].url == door(env)
    assert state["url"] not in {replica.url for replica in env["api-gateway"].replicas}
    assert get(door(env, "/health")).json()["service"] == "api-gateway"


def test_every_service_has_a_front_of_its_own(env: Environment) -> None:
    for service in ("user-service", "order-service", "payment-service"):
        assert get(f"{env[service].url}/health").json()["service"] == service
        assert env[service].url != env[service].replicas[0].url


def test_services_reach_each_other_through_nginx(env: Environment) -> None:
    answer = httpx.post(door(env, "/api/orders"), json={"userId": "user-1", **ORDER})
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")

    def asked() -> list[str]:
        log = env.access_log()
        posts = log["path"].isin(["/api/orders", "/orders", "/pay"]) & (log["method"] == "POST")
        return log.loc[posts, "service"].tolist()[-3:]

    # nginx logs a request after its answer.
    expected = ["payment-service", "order-service", "api-gateway"]
    assert wait_until(lambda: asked() == expected, timeout=3), asked()


def test_twelve_calls_over_three_fresh_replicas_are_four_each(env: Environment) -> None:
    env.restart("api-gateway")
    counts: dict[str, int] = {}
    for _ in range(12):
        answer = get(door(env, "/api/count")).json()
        counts[answer["instance"]] = answer["count"]
    assert counts == {f"api-gateway-{n}": 4 for n in (1, 2, 3)}


def test_nginx_follows_a_scale_in_both_directions(env: Environment) -> None:
    for replicas in (5, 2):
        env.scale("api-gateway", replicas)
        seen = {get(door(env, "/health")).json()["instance"] for _ in range(2 * replicas)}
        assert seen == {f"api-gateway-{n}" for n in range(1, replicas + 1)}


def test_a_scale_loses_no_request(env: Environment) -> None:
    with load(door(env, "/api/users")) as outcomes:
        for replicas in (4, 2, 3, 1, 3):
            env.scale("api-gateway", replicas)
    assert set(outcomes) == {200}
    assert len(outcomes) > 100


def test_a_configuration_loses_no_request_while_another_replica_serves(env: Environment) -> None:
    with load(door(env, "/api/users")) as outcomes:
        env.configure("api-gateway", LIMIT_REQUESTS=5)
    assert set(outcomes) == {200}
    assert len(outcomes) > 100


def test_stopping_replicas_loses_no_get_and_doubles_no_post(env: Environment) -> None:
    posted: list[tuple[str, int]] = []
    over = threading.Event()

    def order() -> None:
        with httpx.Client(timeout=10) as client:
            while not over.is_set():
                user = f"user-{len(posted)}-{threading.get_ident()}"
                answer = client.post(door(env, "/api/orders"), json={"userId": user, **ORDER})
                posted.append((user, answer.status_code))

    with ThreadPoolExecutor(2) as pool, load(door(env, "/api/users"), threads=2) as outcomes:
        ordering = [pool.submit(order) for _ in range(2)]
        for replica in env["api-gateway"].replicas:
            with replica.stopped():
                enough = len(posted) + 5
                assert wait_until(lambda: len(posted) >= enough, timeout=10)  # noqa: B023
        over.set()
    for each in ordering:
        each.result()
    orders = Counter(o["userId"] for o in get(f"{env['order-service'].url}/orders").json())
    assert set(outcomes) == {200}
    assert len(posted) >= 15
    assert all(orders[user] <= 1 for user, _ in posted), "no POST is repeated"
    assert all(orders[user] == 1 for user, status in posted if status == 201)


def test_a_direct_client_cannot_claim_another_address(env: Environment) -> None:
    replica = env["api-gateway"].replicas[0].url
    statuses = [
        get(f"{replica}/api/limited", **{"X-Real-IP": f"7.7.7.{n}"}).status_code for n in range(6)
    ]
    assert 429 in statuses


def test_a_dead_replica_costs_no_get(env: Environment) -> None:
    with env["api-gateway"].replicas[1].killed():
        statuses = {get(door(env, "/api/users")).status_code for _ in range(9)}
        log = env.access_log()
    assert statuses == {200}
    attempts = log[log["service"] == "api-gateway"].tail(9)["attempts"]
    assert any(len(asked) > 1 for asked in attempts), "one had to be asked elsewhere"


def test_a_backup_is_asked_only_when_no_other_can_be(env: Environment) -> None:
    def asked() -> set[str]:
        return {get(door(env, "/health")).json()["instance"] for _ in range(6)}

    first, *others = env.balance("round_robin", "api-gateway", backup=[1])["api-gateway"].replicas
    usual = asked()
    with ExitStack() as faults:
        for other in others:
            faults.enter_context(other.killed())
        left = asked()
    env.balance("round_robin", "api-gateway")
    assert (usual, left) == ({other.id for other in others}, {first.id})


def test_when_no_replica_answers_nginx_sends_a_problem(env: Environment) -> None:
    with env["user-service"].killed():
        answer = get(f"{env['user-service'].url}/users")
    # No host refuses the connection to a dead container's address: nginx waits, and gives up.
    said = {502: "no replica of user-service answers", 504: "user-service did not answer in time"}
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == said[answer.status_code]


def test_least_conn_avoids_the_busy_replica(env: Environment) -> None:
    with ThreadPoolExecutor(1) as pool:
        for algorithm, expected in (("least_conn", 2), ("round_robin", 3)):
            env.balance(algorithm, "api-gateway")  # type: ignore[arg-type]
            busy = pool.submit(get, door(env, "/api/non-blocking?seconds=3"))
            assert wait_until(lambda: in_flight(env), timeout=2)
            asked = {get(door(env, "/health")).json()["instance"] for _ in range(9)}
            assert (busy.done(), len(asked)) == (False, expected)
            busy.result()


def in_flight(env: Environment) -> bool:
    """Whether a gateway works on something besides telling its metrics."""
    lines = [
        line
        for replica in env["api-gateway"].replicas
        for line in get(f"{replica.url}/metrics").text.splitlines()
    ]
    return any(
        line.startswith("http_requests_in_flight") and float(line.split()[-1]) > 1 for line in lines
    )


def test_a_killed_nginx_comes_back_with_the_replicas_of_now(env: Environment) -> None:
    with env["nginx"].killed():
        env.scale("api-gateway", 2)
    seen = {get(door(env, "/health")).json()["instance"] for _ in range(4)}
    assert seen == {"api-gateway-1", "api-gateway-2"}


@pytest.mark.parametrize(
    "verb",
    [
        lambda env: env.scale("nginx", 2),
        lambda env: env.scale("valkey", 2),
        lambda env: env.roll("valkey", 2),
        lambda env: env["valkey"].slowed(1).__enter__(),
    ],
)
def test_what_only_our_services_can_do_is_refused_to_others(env: Environment, verb: object) -> None:
    with pytest.raises(LabError, match="Only the course's own services"):
        verb(env)  # type: ignore[operator]


@pytest.fixture(scope="class")
def shared(env: Environment) -> None:
    """Counters and limits in Valkey, from here to the end of this module."""
    env.scale("api-gateway", 3)
    settings = {"COUNTER_STORE": "incr", "LIMIT_STORE": "valkey", "LIMIT_SECONDS": 30}
    env.configure("api-gateway", **settings)


@pytest.mark.usefixtures("shared")
class TestSharedState:
    def test_three_replicas_share_one_limit_whatever_headers_claim(self, env: Environment) -> None:
        def ask(number: int) -> httpx.Response:
            forged = {"X-Forwarded-For": f"9.9.9.{number}", "X-Real-IP": f"8.8.8.{number}"}
            return get(door(env, "/api/limited"), **forged)

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(ask, range(30)))
            with env["api-gateway"].replicas[0].killed():
                answers += list(pool.map(ask, range(30, 60)))
        env.balance("ip_hash", "api-gateway", forwarded=True)
        answers += [ask(number) for number in range(60, 72)]
        expected = {f"9.9.9.{number}" for number in range(60, 72)}
        # nginx logs a request after its answer.
        believed = lambda: set(env.access_log().tail(12)["client"])  # noqa: E731
        assert wait_until(lambda: believed() == expected, timeout=3), believed()
        env.balance("round_robin", "api-gateway")
        assert Counter(answer.status_code for answer in answers) == {200: 5, 429: 67}
        refused = [answer for answer in answers if answer.status_code == 429]
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        policies = {answer.headers["ratelimit-policy"] for answer in refused}
        assert policies == {'"per-client";q=5;w=30'}

    def test_a_shared_counter_counts_the_calls_of_all_replicas(self, env: Environment) -> None:
        answers = [get(door(env, "/api/count")).json() for _ in range(6)]
        first = answers[0]["count"]
        assert [answer["count"] for answer in answers] == list(range(first, first + 6))
        assert len({answer["instance"] for answer in answers}) == 3

    def test_without_valkey_the_answer_is_an_explained_503(self, env: Environment) -> None:
        with env["valkey"].killed():
            for path in ("/api/count", "/api/limited"):
                answer = get(door(env, path))
                assert (answer.status_code, "Valkey" in answer.json()["detail"]) == (503, True)
            assert get(door(env, "/api/users")).status_code == 200
        assert get(door(env, "/api/count")).status_code == 200

    def test_valkey_refuses_a_client_without_its_password(self, env: Environment) -> None:
        with socket.create_connection(env["valkey"].url.removeprefix("tcp://").split(":"), 5) as it:
            it.sendall(b"GET count\r\n")
            assert it.recv(100).startswith(b"-NOAUTH")

    def test_the_password_is_in_no_log_title_or_state(self, env: Environment) -> None:
        """Looked for by the variable of a replica: on Docker the engine has it, on processes the kernel."""
        replica = env["api-gateway"].replicas[0]
        if replica.pid:
            url = psutil.Process(replica.pid).environ()["VALKEY_URL"]
        else:
            inspect = ["docker", "exec", str(replica.container), "printenv", "VALKEY_URL"]
            url = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout
        password = str(urlsplit(url).password)
        assert len(password) >= 16
        titles = subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True).stdout
        logs = [env[name].logs(1000) for name in ("api-gateway", "valkey", "nginx")]
        folder = Path(env.state()["data"])
        assert password not in "".join([titles, str(env.state()), *logs])
        files = [path for path in folder.rglob("*") if path.is_file()]
        holding = [path for path in files if password.encode() in path.read_bytes()]
        assert {(path.name, path.stat().st_mode & 0o777) for path in holding} <= {
            ("password.conf", 0o600)
        }

    def test_what_valkey_has_written_survives_a_kill(self, env: Environment) -> None:
        before = get(door(env, "/api/count")).json()["count"]
        time.sleep(1.1)  # Valkey writes to its disk once a second; what it said before may be lost
        with env["valkey"].killed():
            pass
        assert get(door(env, "/api/count")).json()["count"] == before + 1


def test_nginx_keeps_its_list_until_it_is_reloaded(env: Environment) -> None:
    env.scale("api-gateway", 1, reload=False)
    assert tried_for(env, 6) & {"api-gateway-2", "api-gateway-3"}
    env.scale("api-gateway", 1)
    assert tried_for(env, 6) == {"api-gateway-1"}


def tried_for(env: Environment, requests: int) -> set[str]:
    """Send requests to the front door, all answered; return every replica that nginx tried for them.

    All of them count: the first one may try each dead replica, and nginx then avoids these for its `fail_timeout`.
    """
    mark = uuid4().hex
    for _ in range(requests):
        assert get(door(env, "/api/users"), **{"X-Correlation-Id": mark}).status_code == 200

    def logged() -> pd.DataFrame:
        log = env.access_log()
        return log[(log["correlation_id"] == mark) & (log["service"] == "api-gateway")]

    wait_until(lambda: len(logged()) == requests, timeout=3)
    return set(logged()["attempts"].sum())
