"""A student's function in a real service, the same words on both runtimes: one system for all cases."""

import hashlib
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from environment import Environment, LabError
from environment.errors import NotReady
from tests.residue import nothing_left

pytestmark = pytest.mark.timeout(180)

TARGET = "breaker.Breaker.is_failure"
OBSERVE = "breaker.BreakerMetrics.observe"
"""What the gateway calls while it starts."""

ENDLESS = """
def observe(self, breaker, registry):
    while True: pass
"""
FAILING = """
import math

def observe(self, breaker, registry):
    halves = math.floor(2.5)
    return halves / 0
"""


def is_failure(self, status: int) -> bool:  # type: ignore[no-untyped-def]
    return status >= 400


class Classifier:
    """Counts every outcome as a failure."""

    def __init__(self, breaker: object) -> None:
        pass

    def is_failure(self, *, result: object, exception: Exception | None) -> bool:
        return True


LABEL = f"{TARGET} {hashlib.sha256(inspect.getsource(is_failure).encode()).hexdigest()[:12]}"


@pytest.fixture(
    scope="module", params=["process", pytest.param("docker", marks=pytest.mark.docker)]
)
def env(request: pytest.FixtureRequest) -> Iterator[Environment]:
    environment = Environment(
        "phase1",
        runtime=request.param,
        only=["api-gateway", "payment-service"],
        settings={"payment-service": {"PAYMENT_SECONDS": 0}},
    )
    environment.start()
    session = str(environment.session)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def refusals(env: Environment, url: str = "") -> list[int]:
    """Return the statuses of five payments that payment-service refuses with 404."""
    path = f"{url or env['api-gateway'].url}/api/pay"
    with env["payment-service"].failing(404):
        return [httpx.post(path, json={"amount": 5}, timeout=5).status_code for _ in range(5)]


COUNTED, PASSED = [404, 404, 404, 503, 503], [404] * 5
"""A breaker that counts refusals as failures opens after the third."""


def lives(env: Environment) -> list[object]:
    return [(r.pid, r.container, r.began) for r in env["api-gateway"].replicas]


def lab(env: Environment, *words: str) -> str:
    command = [sys.executable, "-m", "labs.cli", *words, "--session", str(env.session)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_a_function_runs_in_the_service_until_its_block_ends(env: Environment) -> None:
    gateway = env["api-gateway"]
    url, before = gateway.url, lives(env)
    assert refusals(env) == PASSED
    with gateway.replaced(TARGET, is_failure) as fault:
        assert refusals(env) == COUNTED
        assert gateway.url == url
        assert gateway.replacement == LABEL
        assert env.replacements() == {"api-gateway": LABEL}
        column = env.status().set_index("service")["version"]
        assert list(column) == [f"1 with {LABEL}", "1"]
        assert f"1 with {LABEL}" in lab(env, "ps")
        assert gateway.version == "1"
    assert fault.ended
    assert refusals(env) == PASSED
    assert (gateway.replacement, env.replacements()) == (None, {})
    assert lives(env) != before


def test_replicas_that_start_inside_the_block_have_it(env: Environment) -> None:
    gateway = env["api-gateway"]
    with gateway.replaced(TARGET, is_failure):
        env.scale("api-gateway", 2)
        assert [refusals(env, replica.url) for replica in gateway.replicas] == [COUNTED] * 2
        with gateway.replicas[1].killed():
            pass
        assert refusals(env, gateway.replicas[1].url) == COUNTED
        env.restart("api-gateway")
        env.configure("api-gateway", BREAKER_FAILURES=2)
        assert refusals(env, gateway.replicas[0].url) == [404, 404, 503, 503, 503]
        env.configure("api-gateway", BREAKER_FAILURES=3)
        assert gateway.replacement
    assert [refusals(env, replica.url) for replica in gateway.replicas] == [PASSED] * 2
    env.scale("api-gateway", 1)


def test_a_class_and_a_file_can_be_given_too(env: Environment, tmp_path: Path) -> None:
    with env["api-gateway"].replaced("breaker.Classifier", Classifier):
        assert refusals(env) == COUNTED
    file = tmp_path / "mine.py"
    source = "LEAST = 400\n\n\ndef is_failure(self, status):\n    return status >= LEAST\n"
    file.write_text(source + "# near the limit: payment-service:3003\n" * 1_600)
    with env["api-gateway"].replaced(TARGET, file):
        assert refusals(env) == COUNTED


def test_a_terminal_heals_it_and_one_stands_at_a_time(env: Environment) -> None:
    gateway = env["api-gateway"]
    with gateway.replaced(TARGET, is_failure):
        with pytest.raises(LabError, match=r"has a replacement already.*`lab heal api-gateway`"):
            gateway.replaced(TARGET, is_failure).__enter__()
        assert refusals(env) == COUNTED, "the refused one changed nothing"
        lab(env, "heal", "api-gateway")
        assert refusals(env) == PASSED
        healed = lives(env)
    assert lives(env) == healed, "the block found nothing to heal"
    with gateway.slowed(0.1), pytest.raises(LabError, match="has a fault already: it was slowed"):
        gateway.replaced(TARGET, is_failure).__enter__()


def test_a_source_that_is_refused_restarts_nothing(env: Environment) -> None:
    before = lives(env)
    for source, sentence in (
        ("def is_failure(self, status):\n    retrun 1\n", "line 2, `retrun 1`: invalid syntax"),
        ("def is_failure(self):\n    return 1\n", r"calls `is_failure\(self, status\)`"),
        ("import os\n\ndef is_failure(self, status):\n    return 1\n", "line 1, `import os`"),
    ):
        with pytest.raises(LabError, match=sentence):
            env["api-gateway"].replaced(TARGET, source).__enter__()
    with pytest.raises(LabError, match="Near names are: breaker"):
        env["api-gateway"].replaced("breaker.Braker.is_failure", is_failure).__enter__()
    assert lives(env) == before


@pytest.mark.parametrize(
    ("target", "source", "reason"),
    [
        (OBSERVE, FAILING, "line 5, `return halves / 0`: ZeroDivisionError: division by zero."),
        (
            OBSERVE,
            "HALVES = 1 / 0\n\ndef observe(self, breaker, registry): ...\n",
            "line 1, `HALVES = 1 / 0`: ZeroDivisionError: division by zero.",
        ),
        (
            "breaker.BreakerMetrics.__init__",
            "def __init__(self, name): ...",
            "AttributeError: 'BreakerMetrics' object has no attribute 'name'. "
            "That was raised by a line that is not yours.",
        ),
        (
            OBSERVE,
            "def observe(self, breaker, registry):\n    raise SystemExit(3)\n",
            "it ended with exit code 3 before it was ready, without an error in its log.",
        ),
        (
            "kit.coin.share",
            "def share(*, seed, order_id, step): ...",
            "this version of the service does not import microservices.kit.coin, so nothing would change.",
        ),
        pytest.param(
            OBSERVE,
            ENDLESS,
            "after 15 s it was still in line 2, `while True: pass`. Does it loop, or wait, without an end?",
            marks=pytest.mark.slow,
        ),
    ],
    ids=["crash", "crash of a constant", "crash elsewhere", "exit", "not imported", "endless"],
)
def test_a_start_that_fails_is_explained_and_the_original_is_back(
    env: Environment, target: str, source: str, reason: str
) -> None:
    short = target.rpartition(".")[2]
    with pytest.raises(NotReady) as failed, env["api-gateway"].replaced(target, source):
        raise AssertionError("it runs")
    assert str(failed.value) == (
        f"api-gateway did not start with your `{short}`: {reason}\n"
        f"It runs its original `{short}` again."
    )
    assert env["api-gateway"].replacement is None
    assert refusals(env) == PASSED


def test_the_original_is_back_after_a_block_that_raises(env: Environment) -> None:
    with pytest.raises(ZeroDivisionError), env["api-gateway"].replaced(TARGET, is_failure):
        raise ZeroDivisionError
    assert refusals(env) == PASSED
