"""Kubernetes objects: what passes, what fails, and what is inconclusive."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from labs.experiments.phase3 import kubernetes_objects
from labs.experiments.phase3.kubernetes_objects import RANDOM, ROUND_ROBIN, chain, choose_pods
from labs.verdicts import Outcome, Verdict

PODS, REQUESTS = 3, 1200
PREDICTION = kubernetes_objects.predict(PODS, requests=REQUESTS)


@pytest.fixture(scope="module")
def measured() -> pd.DataFrame:
    return kubernetes_objects.measure(
        SimpleNamespace(seed=7),  # type: ignore[arg-type]
        pods=PODS,
        requests=REQUESTS,
    )


def judge(samples: pd.DataFrame) -> Verdict:
    return kubernetes_objects.judge(samples, PREDICTION)


def distributed(samples: pd.DataFrame, way: str, numbers: np.ndarray) -> pd.DataFrame:
    """Return the samples with other Pods for the requests of one way."""
    rows = (samples["part"] == "request") & (samples["kind"] == way)
    changed = samples.copy()
    changed.loc[rows, "number"] = numbers
    return changed


def test_each_rule_takes_its_share_of_what_is_left() -> None:
    assert chain(4) == [1 / 4, 1 / 3, 1 / 2, 1]
    left, shares = 1.0, []
    for probability in chain(5):
        shares.append(left * probability)
        left *= 1 - probability
    assert shares == pytest.approx([1 / 5] * 5)
    assert left == 0


def test_the_band_grows_as_a_root() -> None:
    high = PREDICTION.pivot(index="requests", columns="way", values="high")
    assert high[RANDOM].loc[REQUESTS] == pytest.approx(2 * high[RANDOM].loc[REQUESTS // 4])
    assert high[RANDOM].loc[REQUESTS] == pytest.approx(4 * (REQUESTS * 2 / 9) ** 0.5)
    assert high[ROUND_ROBIN].tolist() == pytest.approx([2 / 3] * len(high))


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_is_uniform_and_not_even(seed: int) -> None:
    counts = np.bincount(choose_pods(PODS, REQUESTS, seed), minlength=PODS + 1)
    assert counts[0] == 0, "every request got a Pod"
    assert abs(counts[1:] - REQUESTS / PODS).max() < 4 * (REQUESTS * 2 / 9) ** 0.5
    assert set(choose_pods(1, 10, seed)) == {1}


def test_the_manifests_as_they_are_pass(measured: pd.DataFrame) -> None:
    verdict = judge(measured)
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details["objects"] == (measured["part"] == "object").sum() > 20


def test_the_same_seed_chooses_the_same_pods() -> None:
    assert (choose_pods(3, 500, 7) == choose_pods(3, 500, 7)).all()
    assert (choose_pods(3, 500, 7) != choose_pods(3, 500, 8)).any()


@pytest.mark.parametrize("kind", ["Kubernetes 1.35", "Kubernetes 1.37", "docker-compose.yml"])
def test_a_problem_fails_and_an_absent_check_is_inconclusive(
    measured: pd.DataFrame, kind: str
) -> None:
    checks = (measured["part"] == "check") & (measured["kind"] == kind)
    wrong = measured.copy()
    wrong.loc[checks.idxmax(), "says"] = "spec.ports: wrong"
    assert judge(wrong).outcome is Outcome.FAIL
    assert kind in judge(wrong).reasons[0]
    assert "spec.ports: wrong" in judge(wrong).reasons[0]
    assert judge(measured[~checks]).reasons == (f"{kind}: not checked",)


def test_rules_of_equal_probability_are_not_uniform(
    measured: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The natural slip: 1/n in every rule leaves the last Pod all that the others did not take."""
    monkeypatch.setattr(kubernetes_objects, "chain", lambda pods: [1 / pods] * (pods - 1) + [1])
    verdict = judge(distributed(measured, RANDOM, choose_pods(PODS, REQUESTS, 7)))
    assert verdict.reasons == ("kube-proxy: the choice of Pods was not uniform",)


def test_round_robin_and_kube_proxy_cannot_be_exchanged(
    measured: pd.DataFrame,
) -> None:
    turns = np.arange(REQUESTS) % PODS + 1
    assert judge(distributed(measured, RANDOM, turns)).outcome is Outcome.FAIL
    chosen = choose_pods(PODS, REQUESTS, 7)
    assert judge(distributed(measured, ROUND_ROBIN, chosen)).reasons == (
        "round robin: the Pods' requests were not even",
    )


def test_a_pod_that_was_not_predicted_fails(measured: pd.DataFrame) -> None:
    assert judge(distributed(measured, RANDOM, choose_pods(4, REQUESTS, 7))).outcome is Outcome.FAIL


def test_few_requests_are_inconclusive() -> None:
    none = pd.DataFrame(columns=["part", "kind", "name", "says", "number", "attempt"])
    verdict = kubernetes_objects.judge(none, kubernetes_objects.predict(3, requests=10))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "kube-proxy: too few requests to tell a uniform choice from another" in verdict.reasons


def test_the_figure_draws_the_objects_of_the_samples(
    measured: pd.DataFrame,
) -> None:
    figure = kubernetes_objects.plot(measured, PREDICTION)
    picture, beyond = figure.axes
    texts = {text.get_text() for text in picture.texts}
    objects = measured[measured["part"] == "object"]
    ran = set(objects[objects["kind"].isin(["Deployment", "StatefulSet", "Ingress"])]["name"])
    assert ran | {"client", "NodePort", "LoadBalancer", "shop.lab.test/api"} <= texts
    assert "(requests)" in beyond.get_ylabel()

    renamed = measured.replace({"Deployment/user-service": "Deployment/people"})
    texts = {text.get_text() for text in kubernetes_objects.plot(renamed, PREDICTION).axes[0].texts}
    assert "people" in texts
