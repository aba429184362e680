"""Each kind of hidden fault shows, by its own measurement, and ends by an ordinary verb: one system for all kinds."""

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from environment import Environment, LabError
from environment.mystery import KINDS, Kind, chosen
from environment.mystery.healthy import PAYMENTS, prepare
from tests.residue import nothing_left

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    environment = Environment("phase4", runtime="process").start()
    session = str(environment.session)
    prepare(environment)
    yield environment
    environment.stop()
    assert nothing_left(session, seconds=0) == []


def restart(env: Environment, place: str) -> None:
    env.restart(place)


def heal_by_command(env: Environment, place: str) -> None:
    command = [sys.executable, "-m", "labs.cli", "heal", place, "--session", str(env.session)]
    subprocess.run(command, check=True, timeout=60, capture_output=True)


REPAIRS: dict[str, Callable[[Environment, str], object]] = {
    "slow replica": restart,
    "failing replica": restart,
    "stale upstream": lambda env, place: env.scale(place, 2),
    "limiter per replica": lambda env, place: env.configure(place, LIMIT_STORE="valkey"),
    "lost updates": lambda env, place: env.configure(place, COUNTER_STORE="incr"),
    "poisoned partition": lambda env, _: env.configure(PAYMENTS, RETRY_TRIES=1),
    "stuck consumer": restart,
    "silent relay": restart,
    "missing inbox": lambda env, place: env.configure(place, INBOX="on"),
    "consumer that commits first": heal_by_command,
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_fault_shows_in_its_place_until_it_is_repaired(env: Environment, kind: Kind) -> None:
    *others, place = kind.places
    assert not kind.symptom(env, place), "healthy"
    with kind.begin(env, place):
        assert kind.symptom(env, place), "broken"
        if others:
            assert not kind.symptom(env, others[-1]), "it shows elsewhere too"
        REPAIRS[kind.name](env, place)
        assert not kind.symptom(env, place), "repaired"


def test_a_mystery_is_hidden_until_it_is_named_and_heals(
    env: Environment, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, place = KINDS[-1], PAYMENTS
    seed = next(seed for seed in range(1000) if chosen(seed) == (kind, place))
    with env.mystery(seed) as mystery:
        assert capfd.readouterr() == ("", ""), "no line of progress"
        assert (env.replacements(), env[place].replacement) == ({}, None)
        assert kind.name not in repr(mystery)
        assert set(env.status()["version"]) == {"", "1", "2"}
        assert mystery.repaired().startswith("Not yet")
        assert mystery.name("missing inbox", place).startswith("The place is right")
        assert mystery.name(kind.name, place).startswith("Right")
        with pytest.raises(LabError, match="One mystery at a time"):
            env.mystery(seed)
    assert mystery.repaired().startswith("The system is healthy")
    assert mystery.score["wrong guesses"].item() == 1
