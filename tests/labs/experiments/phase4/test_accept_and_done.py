"""Accept and done: accepting gets faster, being done does not."""

import pandas as pd
import pytest

from labs.experiments.phase4 import accept_and_done
from labs.experiments.phase4.names import HTTP, KAFKA
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import (
    accept_and_done_prediction,
    accept_and_done_samples,
)


def judge(samples: pd.DataFrame) -> Verdict:
    return accept_and_done.judge(samples, accept_and_done_prediction())


def test_only_the_design_that_waits_accepts_after_the_work() -> None:
    http, kafka = accept_and_done.predict(seconds=3).to_dict("records")
    assert (http["design"], http["accept"], http["done"]) == (HTTP, 3, 3)
    assert (kafka["design"], kafka["accept"], kafka["done"]) == (KAFKA, 0, 3)


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(accept_and_done_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details["medians"][KAFKA]["accept"] == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize(
    ("times", "because"),
    [
        ({"accept": 0.11}, "Kafka: accepting was not so much faster"),
        ({"accept": 2.0}, "Kafka: accepting was not so much faster"),
        ({"done": 1.9}, "Kafka: an order was done before its payment can be"),
        ({"done": 2.6}, "Kafka: orders were done later than predicted"),
    ],
)
def test_other_times_fail(times: dict[str, float], because: str) -> None:
    verdict = judge(accept_and_done_samples(**times))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (because,)


def test_one_order_that_is_never_done_or_not_accepted_fails() -> None:
    never = accept_and_done_samples()
    never.loc[50, "done"] = None
    assert judge(never).reasons == ("an accepted order was never done",)
    refused = accept_and_done_samples()
    refused.loc[50, ["ok", "done"]] = [False, None]
    assert judge(refused).reasons == ("an order was not accepted",)


def test_few_orders_and_a_lagging_generator_are_inconclusive() -> None:
    few = accept_and_done_samples().groupby("design").head(10)
    assert judge(few).outcome is Outcome.INCONCLUSIVE
    lagged = accept_and_done_samples(done=2.6).assign(lag=0.4)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([lagged, accept_and_done_samples().assign(attempt=2)], ignore_index=True)
    verdict = judge(both)
    assert verdict.outcome is Outcome.PASS
    assert verdict.details["counted"].startswith("80 of 160 counted (set aside: attempts in which")
    most = pd.concat(
        [lagged, lagged.assign(attempt=2), accept_and_done_samples().assign(attempt=3)]
    )
    assert judge(most.reset_index(drop=True)).outcome is Outcome.INCONCLUSIVE


def test_the_figure_shows_both_designs_and_the_originals_times() -> None:
    figure = accept_and_done.plot(accept_and_done_samples(), accept_and_done_prediction())
    assert [ax.get_title(loc="left") for ax in figure.axes] == [HTTP, KAFKA]
    assert figure.texts[0].get_text() == (
        "Accepted after 12 ms instead of 2,022 ms; done after 2,052 ms instead of 2,022 ms"
    )
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts == ["the original: 2000 ms", "the original: 100 ms"]
