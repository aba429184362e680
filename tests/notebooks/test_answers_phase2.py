"""Reference answers to the exercises of phase 2: each is as short as its hint promises, and right."""

from collections.abc import Iterator

import pandas as pd
import pytest

from environment import Environment
from labs import exercises
from labs.experiments.phase2 import head_of_line_blocking, ratio_claim
from labs.load.calls import ask
from labs.load.open_loop import Stream, run_load
from tests.notebooks.designed import assert_right_unless_busy


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


@pytest.mark.slow
def test_three_copies_keep_up_with_what_two_do_not(env: Environment) -> None:
    env.configure("api-gateway", WORKERS=1)
    loads = []
    for replicas in (2, 3):
        url = f"{env.scale('api-gateway', replicas).url}/api/blocking?seconds=0.1"
        samples = run_load(Stream("work", url, rate=25, timeout=30), seconds=3.2)
        loads.append(samples.assign(replicas=replicas))
    plan = "Vary the replicas, hold the rate of 25/s and the wait, 80 requests: 25 x 0.1 are 2.5."
    answer = {"plan": plan, "samples": pd.concat(loads), "predicted": 3, "found": 3, "holds": True}
    feedback = exercises.check("p2-4", answer)
    assert_right_unless_busy(feedback)
