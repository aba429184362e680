"""The page: what a browser shows of the broker, what it refuses to run, and that it ends."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from environment import Environment
from environment.folders import home
from environment.kafka.tools import Kafka
from environment.waiting import wait_until
from tests.environment.kafka_tools.browser import Tab, browser, needs_browser
from tests.environment.kafka_tools.conftest import Joined, letter
from tests.residue import nothing_left

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

CLIENT = httpx.Client(timeout=30)

HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser() as opened:
        yield opened


@needs_browser
def test_a_message_appears_on_the_open_page_by_itself(kafka: Kafka, topic: str, tab: Tab) -> None:
    tab.go(f"{kafka.ui().url}#topics/{topic}")
    assert tab.sees("Nothing was sent yet")
    assert tab.sees("live,")
    kafka.produce(topic, {"eventType": "OrderCreated"}, key="order-1")
    assert tab.sees('{"eventType": "OrderCreated"}', seconds=10)
    assert tab.sees("order-1")


@needs_browser
def test_what_a_message_holds_is_text_and_never_runs(kafka: Kafka, topic: str, tab: Tab) -> None:
    kafka.create(f"{topic}-dlq")
    kafka.produce(topic, HOSTILE, key=HOSTILE, headers={HOSTILE: HOSTILE})
    letter(kafka, topic, HOSTILE.encode(), key=HOSTILE.encode(), error=HOSTILE, group=HOSTILE)
    kafka.produce(topic, b"\xff\xfe")
    for view in (f"topics/{topic}", f"topics/{topic}-dlq", "dead-letters"):
        tab.go("about:blank")
        tab.go(f"{kafka.ui().url}#{view}")
        assert tab.sees(HOSTILE)
        tab.look("document.querySelectorAll('details').forEach((one) => (one.open = true))")
        assert tab.look("document.title") == "Kafka"
        assert tab.look("document.querySelectorAll('main img, main script').length") == 0
    tab.go(f"{kafka.ui().url}#topics/{topic}")
    assert tab.sees("\\xff\\xfe")
    assert tab.said == [], "the page complains of nothing, and nothing was asked of another host"


@needs_browser
def test_groups_are_shown_with_lag_and_members(
    kafka: Kafka, topic: str, group: str, joined: Joined, tab: Tab
) -> None:
    with joined(topic):
        for _ in range(4):
            kafka.produce(topic, "x", partition=2)
        tab.go(f"{kafka.ui().url}#groups")
        assert tab.sees(group)
        card = f"[...document.querySelectorAll('.card')].find((c) => c.innerText.includes({json.dumps(group)}))"
        assert wait_until(lambda: "4\nmessages behind" in tab.look(f"{card}.innerText"), timeout=10)
        said = tab.look(f"{card}.innerText")
        assert "stable" in said
        assert said.count("payment-service-1") == 6


@needs_browser
def test_a_dead_letter_is_shown_before_and_after_its_redrive(
    kafka: Kafka, topic: str, tab: Tab
) -> None:
    kafka.create(f"{topic}-dlq")
    letter(kafka, topic, b"poison", error=f"broken in {topic}")
    tab.go(f"{kafka.ui().url}#dead-letters")
    assert tab.sees(f"broken in {topic}")
    row = f"[...document.querySelectorAll('tr')].find((r) => r.innerText.includes('in {topic}')).innerText"
    assert "waiting" in tab.look(row)
    kafka.redrive(topic)
    assert wait_until(lambda: "sent back" in tab.look(row), timeout=10)


@needs_browser
def test_the_page_shows_the_death_and_return_of_a_broker(
    env: Environment, kafka: Kafka, topic: str, tab: Tab
) -> None:
    tab.go(f"{kafka.ui().url}#topics/{topic}")
    assert tab.sees("live,")
    with env["kafka"].killed():
        assert tab.sees("the broker does not answer")
        assert tab.sees("lab restart kafka")
    assert wait_until(lambda: tab.look("document.querySelector('#trouble').hidden"), timeout=20)
    assert tab.sees("live,")
    tab.said.clear()  # it said that it had got a 503


# -- the server --------------------------------------------------------------------------------------------------------


def test_the_page_only_reads(kafka: Kafka, topic: str) -> None:
    url = kafka.ui().url
    before = kafka.groups().group.tolist()
    for path in ("", "page.js", "page.css", "api/overview", f"api/topics/{topic}/messages"):
        assert CLIENT.get(url + path).status_code == 200
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert CLIENT.request(method, url + path).status_code == 405
    assert CLIENT.get(f"{url}api/dead-letters").status_code == 200
    assert kafka.groups().group.tolist() == before


def test_it_asks_no_other_host_and_runs_nothing_inline(kafka: Kafka) -> None:
    answer = CLIENT.get(kafka.ui().url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    page = answer.text + CLIENT.get(f"{kafka.ui().url}page.js").text
    assert "//cdn" not in page
    assert "innerHTML" not in page


def test_the_page_listens_on_loopback_and_answers_no_other_name(kafka: Kafka) -> None:
    url = kafka.ui().url
    port = urlsplit(url).port
    listening = [
        c.laddr.ip
        for c in psutil.net_connections("tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr.port == port
    ]
    assert listening == ["127.0.0.1"]
    assert CLIENT.get(url, headers={"Host": f"evil.example:{port}"}).status_code == 400


def test_what_is_asked_wrongly_gets_a_4xx(kafka: Kafka, topic: str) -> None:
    url = kafka.ui().url
    assert CLIENT.get(f"{url}api/topics/none/messages").status_code == 404
    assert CLIENT.get(f"{url}api/topics/{topic}/messages?partition=77").status_code == 404
    for wrong in ("limit=0", "limit=100000", "limit=x", "partition=-1"):
        assert CLIENT.get(f"{url}api/topics/{topic}/messages?{wrong}").status_code == 422


def test_one_page_serves_and_a_dead_one_starts_again(env: Environment, kafka: Kafka) -> None:
    first = kafka.ui().url
    assert kafka.ui().url == first
    page = next(
        one
        for one in psutil.process_iter()
        if "environment.kafka.ui.server" in _words(one) and str(env.session) in _words(one)
    )
    page.kill()
    assert wait_until(lambda: kafka.ui().url != first, timeout=10)  # once its last thread is gone
    assert CLIENT.get(kafka.ui().url).status_code == 200


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.fixture
def another() -> Iterator[Environment]:
    environment = Environment("phase4", runtime="process", only=["kafka"]).start()
    yield environment
    environment.stop()


def test_the_page_ends_with_the_session(another: Environment) -> None:
    session, url = str(another.session), another.kafka.ui().url
    assert CLIENT.get(url).status_code == 200
    another.stop()
    assert nothing_left(session, seconds=0) == []


def test_the_page_ends_with_a_supervisor_that_is_killed(another: Environment) -> None:
    session, url = str(another.session), another.kafka.ui().url
    assert CLIENT.get(url).status_code == 200
    supervisor = int((home() / session / "supervisor").read_text().split("/")[2])
    os.kill(supervisor, signal.SIGKILL)
    assert wait_until(lambda: _refused(url), timeout=10), "it ends by itself"
    another.stop()
    with Environment("phase0", runtime="process", only=["user-service"]):
        assert nothing_left(session, seconds=5) == [], "the next start sweeps the broker"


def _refused(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 1).close()
    except OSError:
        return True
    return False
