"""Overload: one design lets its clients queue, the other its events."""

import pandas as pd
import pytest

from labs.experiments.phase4 import overload
from labs.experiments.phase4.names import HTTP, KAFKA
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import overload_prediction, overload_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return overload.judge(samples, overload_prediction())


def test_above_capacity_only_the_first_orders_are_answered() -> None:
    table = overload.predict(slots=20, seconds=1, patience=3, step_seconds=4)
    above = table[table["step"] == 2].set_index("design").to_dict("index")
    assert (above[HTTP]["mu"], above[HTTP]["offered"]) == (20, 40)
    assert above[HTTP]["share"] == pytest.approx((3 - 1) / 4)
    assert (above[KAFKA]["share"], above[KAFKA]["slope"]) == (1, 20)
    below = table[table["step"] < 1]
    assert set(below["share"]) == {1}
    assert set(below["slope"]) == {0}


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(overload_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details["steps"][0][-1]["growth"] == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"growth": 12.0}, "Kafka at 2 mu: the lag grew otherwise than predicted"),
        ({"growth": 0.0}, "Kafka at 2 mu: the lag grew otherwise than predicted"),
        (
            {"patient": 4.0},
            "HTTP at 2 mu: another share was answered in time than predicted",
        ),
    ],
)
def test_other_slopes_and_shares_fail(changes: dict[str, float], because: str) -> None:
    verdict = judge(overload_samples(**changes))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (because,)


def test_a_step_that_differs_on_busy_cores_is_in_doubt() -> None:
    busy = overload_samples(growth=13, idle=0.1)
    assert judge(busy).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([busy, overload_samples(idle=0.1).assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS
    idle = pd.concat([both, overload_samples(growth=13).assign(attempt=3)], ignore_index=True)
    assert judge(idle).outcome is Outcome.FAIL


def test_one_order_that_kafka_does_not_accept_fails() -> None:
    refused = overload_samples()
    orders = refused[(refused["design"] == KAFKA) & (refused["what"] == "order")]
    refused.loc[orders.index[-1], "ok"] = False
    assert judge(refused).reasons == ("Kafka: an order was not accepted",)


def test_too_few_looks_and_a_lagging_generator_are_inconclusive() -> None:
    samples = overload_samples(growth=12)
    few = samples[(samples["what"] == "order") | (samples.index % 10 == 0)]
    assert judge(few).outcome is Outcome.INCONCLUSIVE
    lagged = samples.assign(lag=0.4)
    assert judge(lagged).outcome is Outcome.INCONCLUSIVE
    both = pd.concat([lagged, overload_samples().assign(attempt=2)], ignore_index=True)
    assert judge(both).outcome is Outcome.PASS


def test_each_axes_has_a_legend_and_one_thing_one_colour() -> None:
    figure = overload.plot(overload_samples(), overload_prediction())
    assert figure.texts[0].get_text() == (
        "At 2 mu HTTP answered 38% in time; Kafka accepted 100%, its lag grew by 10.0/s"
    )
    colours: dict[str, set[object]] = {}
    for ax in figure.axes:
        for handle in ax.get_legend().legend_handles:
            colours.setdefault(handle.get_color(), set()).add(handle.get_label().split(": ")[-1])  # type: ignore[union-attr]
    assert sorted(map(sorted, colours.values())) == [
        ["accepted"],
        ["answered"],
        ["done"],
        ["lag"],
        ["predicted"],
        ["the client left"],
    ]


def test_the_figure_has_the_originals_points() -> None:
    figure = overload.plot(overload_samples(), overload_prediction())
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert any("the original: 1000+ requests/s" in text for text in texts)
    assert any("the original: 50 requests/s" in text for text in texts)
