"""Reference answers to the exercises of phase 2: each is as short as its hint promises, and right."""

from collections.abc import Iterator

import pandas as pd
import pytest

from environment import Environment
from labs.experiments.phase2 import head_of_line_blocking, ratio_claim
from labs.load.calls import ask


@pytest.fixture(scope="module")
def env() -> Iterator[Environment]:
    with Environment("phase2", runtime="process", replicas={"api-gateway": 3}) as env:
        yield env


def test_a_hundred_times_is_a_matter_of_choice() -> None:
    unloaded = 0.004
    k = round(99 * unloaded / 0.1)
    assert ratio_claim.predict([k], seconds=0.1, unloaded=unloaded)["ratio"].item() > 99


@pytest.mark.slow
def test_no_request_waits_with_the_fewest_connections(env: Environment) -> None:
    env.balance("least_conn", "api-gateway")
    samples = head_of_line_blocking.measure(env, replicas=[3])
    env.balance("round_robin", "api-gateway")
    none = pd.DataFrame({"replicas": [3], "share": [0.0]})
    assert head_of_line_blocking.judge(samples, none).outcome != "fail"
    third = pd.DataFrame({"replicas": [3], "share": [1 / 3]})
    assert head_of_line_blocking.judge(samples, third).outcome != "pass"


@pytest.mark.slow
def test_two_replicas_of_two_workers_admit_four_limits_at_most(env: Environment) -> None:
    env.scale("api-gateway", 1)
    env.configure("api-gateway", LIMIT_STORE="memory", WORKERS=2)
    url = env.scale("api-gateway", 2).url
    answers = ask(f"{url}/api/limited", requests=100, together=100)
    assert 10 < (answers["status"] == 200).sum() <= 20
