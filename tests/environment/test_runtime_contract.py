"""The contract of an environment, the same words on both runtimes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import pytest

from environment import Environment, LabError
from environment.client.connection import Client
from environment.errors import NotReady, UnknownName
from environment.waiting import wait_until
from tests.residue import nothing_left
from tests.wire import CLOSING, OFFER, exchange, request

pytestmark = pytest.mark.timeout(120)

FAST = {"payment-service": {"PAYMENT_SECONDS": 0.05}}


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    environment = Environment("phase0", runtime=request.param, settings=FAST)
    environment.start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def order(env: Environment) -> httpx.Response:
    item = {"productId": "prod-1", "quantity": 2, "price": 9.99}
    return httpx.post(
        f"{env['order-service'].url}/orders", json={"userId": "user-1", "items": [item]}, timeout=5
    )


def in_flight(url: str) -> bool:
    """Whether a service works on something besides telling its metrics."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return any(
        line.startswith("http_requests_in_flight") and float(line.split()[-1]) > 1 for line in lines
    )


def test_start_returns_when_every_service_is_ready(env: Environment) -> None:
    for name in env.services:
        assert httpx.get(f"{env[name].url}/ready").status_code == 200
    assert (env.status()["ready"] == 1).all()


def test_services_reach_each_other_at_their_described_addresses(env: Environment) -> None:
    answer = order(env)
    assert (answer.status_code, answer.json()["status"]) == (201, "completed")


def test_a_payment_that_offers_http2_is_charged_what_it_names(env: Environment) -> None:
    port = urlsplit(env["payment-service"].url).port
    assert port
    for number, pieces in enumerate((1, 2)):
        body = b'{"orderId":"java-%d","amount":77}' % number
        whole = request("POST", "/pay", body, *OFFER)
        sent = [whole] if pieces == 1 else [whole[: -len(body)], body]
        paid, _ = exchange(port, *sent, CLOSING)
        assert (paid.status, b'"orderId":"java-%d"' % number in paid.body) == (200, True)


def test_a_second_start_changes_nothing(env: Environment) -> None:
    before = [
        (replica.pid, replica.container) for name in env.services for replica in env[name].replicas
    ]
    env.start()
    assert before == [(r.pid, r.container) for name in env.services for r in env[name].replicas]


def test_the_address_of_a_service_is_that_of_its_state(env: Environment) -> None:
    shown = {name: state["url"] for name, state in env.state()["services"].items()}
    assert {name: env[name].url for name in env.services} == shown


def test_everything_listens_on_loopback_only(env: Environment) -> None:
    assert {urlsplit(env[name].url).hostname for name in env.services} == {"127.0.0.1"}


def test_scale_is_a_target_in_both_directions(env: Environment) -> None:
    first = env["user-service"].replicas[0].url
    env.scale("user-service", 3)
    replicas = env["user-service"].replicas
    assert [replica.id for replica in replicas] == [f"user-service-{n}" for n in (1, 2, 3)]
    assert {httpx.get(f"{r.url}/health").json()["instance"] for r in replicas} == {
        r.id for r in replicas
    }
    env.scale("user-service", 3)
    assert [r.url for r in env["user-service"].replicas] == [r.url for r in replicas]
    env.scale("user-service", 1)
    assert [r.url for r in env["user-service"].replicas] == [first]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{replicas[2].url}/health", timeout=1)


def test_replicas_of_a_service_share_its_data(env: Environment) -> None:
    env.scale("user-service", 2)
    one, two = env["user-service"].replicas
    created = httpx.post(f"{one.url}/users", json={"name": "Grace Hopper"})
    assert created.status_code == 201
    assert created.json()["id"] in {user["id"] for user in httpx.get(f"{two.url}/users").json()}
    env.scale("user-service", 1)


def test_configure_replaces_in_place(env: Environment) -> None:
    before = env["payment-service"].replicas[0]
    env.configure("payment-service", PAYMENT_SECONDS=0.4)
    after = env["payment-service"].replicas[0]
    assert (after.url, after.ready) == (before.url, True)
    assert (after.pid, after.container) != (before.pid, before.container)
    answer = httpx.post(f"{after.url}/pay", json={"amount": 5})
    assert answer.elapsed.total_seconds() >= 0.4
    env.configure("payment-service", **FAST["payment-service"])


def test_a_configuration_that_fails_is_taken_back(env: Environment) -> None:
    with pytest.raises(NotReady, match="PAYMENT_SECONDS"):
        env.configure("payment-service", PAYMENT_SECONDS="soon")
    assert httpx.post(f"{env['payment-service'].url}/pay", json={"amount": 5}).status_code < 300


def test_roll_keeps_address_and_data(env: Environment) -> None:
    url = env["user-service"].url
    created = httpx.post(f"{url}/users", json={"name": "Barbara Liskov"}).json()
    env.roll("user-service", 2)
    assert env["user-service"].version == "2"
    assert env["user-service"].url == url
    assert httpx.get(f"{url}/health").json()["version"] == "2"
    assert httpx.get(f"{url}/users/{created['id']}").json()["name"] == "Barbara Liskov"
    env.roll("user-service", 1)


def test_a_roll_of_one_replica_spares_the_others(env: Environment) -> None:
    env.scale("user-service", 2)
    before = env["user-service"].replicas
    env.roll("user-service", 2, replicas=[2])
    after = env["user-service"].replicas
    assert [replica.version for replica in after] == ["1", "2"]
    assert env["user-service"].version == "1, 2"
    assert (after[0].pid, after[0].began) == (before[0].pid, before[0].began)
    assert before[1].began
    assert after[1].began
    assert before[1].began < after[1].began
    with pytest.raises(UnknownName, match="user-service-5"):
        env.roll("user-service", 2, replicas=[5])
    env.roll("user-service", 1, replicas=[2])
    assert env.scale("user-service", 1).version == "1"


def test_a_roll_to_an_unknown_version_is_taken_back(env: Environment) -> None:
    with pytest.raises(NotReady, match="9"):
        env.roll("user-service", 9)
    assert env["user-service"].version == "1"
    assert httpx.get(f"{env['user-service'].url}/health").json()["version"] == "1"


def test_killed_loses_its_requests_and_comes_back_with_its_data(env: Environment) -> None:
    url = env["order-service"].url
    accepted = order(env).json()["id"]
    with env["order-service"].killed() as fault, pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/orders", timeout=2)
    assert fault.ended
    assert fault.ended > fault.began
    assert env["order-service"].url == url
    assert httpx.get(f"{url}/orders/{accepted}").json()["status"] == "completed"


def test_stopped_lets_work_in_hand_finish(env: Environment) -> None:
    env.configure("payment-service", PAYMENT_SECONDS=1)
    url = env["payment-service"].url
    with ThreadPoolExecutor(1) as pool:
        paying = pool.submit(httpx.post, f"{url}/pay", json={"amount": 5}, timeout=10)
        assert wait_until(lambda: in_flight(url), timeout=5), "the payment has arrived"
        with env["payment-service"].stopped():
            assert paying.result().status_code < 300
            with pytest.raises(httpx.TransportError):
                httpx.get(f"{url}/health", timeout=1)
    env.configure("payment-service", **FAST["payment-service"])


def test_paused_accepts_and_never_answers(env: Environment) -> None:
    url = env["user-service"].url
    with env["user-service"].paused(), pytest.raises(httpx.TimeoutException):
        httpx.get(f"{url}/users", timeout=0.5)
    assert httpx.get(f"{url}/users").status_code == 200


def test_slowed_and_failing_end_with_their_block(env: Environment) -> None:
    url = env["user-service"].url
    with env["user-service"].slowed(0.3):
        assert httpx.get(f"{url}/users").elapsed.total_seconds() >= 0.3
    with env["user-service"].failing(status=503, rate=1.0):
        assert httpx.get(f"{url}/users").status_code == 503
        assert httpx.get(f"{url}/health").status_code == 200
    assert httpx.get(f"{url}/users").elapsed.total_seconds() < 0.3


def test_a_fault_heals_when_its_block_raises(env: Environment) -> None:
    with pytest.raises(ZeroDivisionError), env["user-service"].killed():
        raise ZeroDivisionError
    assert env["user-service"].replicas[0].ready


def test_a_fault_on_one_replica_spares_the_others(env: Environment) -> None:
    env.scale("user-service", 2)
    one, two = env["user-service"].replicas
    with two.killed():
        assert httpx.get(f"{one.url}/users").status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{two.url}/users", timeout=1)
    env.scale("user-service", 1)


def test_a_second_fault_on_the_same_replica_is_refused(env: Environment) -> None:
    with env["user-service"].slowed(0.1):
        with pytest.raises(LabError, match="has a fault already"):
            env["user-service"].replicas[0].killed().__enter__()
        assert httpx.get(f"{env['user-service'].url}/users").elapsed.total_seconds() >= 0.1
        with env["order-service"].paused():
            pass
    with env["user-service"].killed():
        pass


def test_what_is_paused_may_be_killed_and_comes_back_once(env: Environment) -> None:
    user = env["user-service"]
    with user.paused():
        with user.killed(), pytest.raises(LabError, match="has a fault already"):
            user.slowed(0.1).__enter__()
        assert httpx.get(f"{user.url}/users").status_code == 200
    assert user.replicas[0].ready


def test_another_data_folder_is_empty_and_the_first_one_kept(
    env: Environment,
) -> None:
    users = f"{env['user-service'].url}/users"
    httpx.post(users, json={"name": "Ada"}).raise_for_status()
    before = httpx.get(users).json()
    env.configure("user-service", DATA_DIR="/data/new")
    assert len(httpx.get(users).json()) < len(before)
    env.configure("user-service", DATA_DIR="/data")
    assert httpx.get(users).json() == before
    with pytest.raises(LabError, match="outside of it"):
        env.configure("user-service", DATA_DIR="/data/../elsewhere")


def test_a_replica_scaled_away_inside_its_fault_needs_no_healing(env: Environment) -> None:
    env.scale("user-service", 2)
    with env["user-service"].replicas[1].killed():
        env.scale("user-service", 1)
    assert len(env["user-service"].replicas) == 1


def test_pausing_twice_is_pausing_once(env: Environment) -> None:
    terminal = Client(str(env.session)).verbs()
    for verb in (terminal.pause, terminal.pause, terminal.heal, terminal.heal):
        verb(["user-service"])
    assert httpx.get(f"{env['user-service'].url}/users").status_code == 200


def test_restart_returns_how_long_each_start_took(env: Environment) -> None:
    timings = env.restart()
    assert list(timings["service"]) == env.services
    assert (timings["seconds"] > 0).all()
    assert (timings["cpu_seconds"] > 0).all()
    assert timings["began"].max() < timings["ready"].min(), "they start at the same time"


def test_logs_include_earlier_lives(env: Environment) -> None:
    def lives() -> int:
        return env["user-service"].logs(lines=10_000).lower().count("started")

    before = lives()
    env.restart("user-service")
    assert lives() > before >= 1


def test_attach_joins_and_does_not_own(env: Environment) -> None:
    joined = Environment.attach(env.session)
    assert joined.services == env.services
    assert joined["user-service"].url == env["user-service"].url
    del joined
    assert env.running


def test_names_that_do_not_exist_are_explained(env: Environment) -> None:
    with pytest.raises(KeyError, match="user-service"):
        env["users"]
    with pytest.raises(UnknownName, match="Did you mean PAYMENT_SECONDS"):
        env.configure("payment-service", PAYMENT_SECOND=1)
    with pytest.raises(UnknownName, match="decided by the environment"):
        env.configure("payment-service", PORT=1)
    with pytest.raises(LabError, match="1 to 8"):
        env.scale("user-service", 9)


def test_two_environments_never_meet(env: Environment) -> None:
    other = Environment(
        "phase0", runtime=env.runtime, versions={"user-service": 2}, only=["user-service"]
    )
    with other:
        session = str(other.session)
        httpx.post(
            f"{other['user-service'].url}/users",
            json={"name": "Only There", "email": "o@t.example"},
        )
        assert "Only There" not in httpx.get(f"{env['user-service'].url}/users").text
        assert httpx.get(f"{other['user-service'].url}/health").json()["version"] == "2"
        assert other["user-service"].url != env["user-service"].url
    assert nothing_left(session, seconds=0) == []
    assert httpx.get(f"{env['user-service'].url}/users").status_code == 200
