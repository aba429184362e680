"""Keys and order: within a topic there is one, across topics there is none."""

import pandas as pd

from labs.experiments.phase4 import key_order
from labs.experiments.phase4.key_order import ACROSS, PAID, WITHIN
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import key_order_prediction, key_order_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return key_order.judge(samples, key_order_prediction())


def test_inversions_are_predicted_only_across_topics() -> None:
    within, across = key_order.predict(orders=8, steps=6).to_dict("records")
    assert (within["pairs"], within["of"], within["high"]) == (WITHIN, 80, 0)
    assert (across["pairs"], across["low"], across["high"]) == (ACROSS, 0, 48)


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(key_order_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    first, second = verdict.details["inversions"]
    assert (first[WITHIN], first[ACROSS]) == (0, 0)
    assert (second[WITHIN], second[ACROSS]) == (0, 6)


def test_one_inversion_within_a_topic_fails() -> None:
    samples = key_order_samples()
    payments = samples[(samples["reader"] == "reader A") & (samples["topic"] == PAID)]
    samples.loc[payments.index[:2], "seen"] = payments["seen"].iloc[1::-1].to_numpy()
    verdict = judge(samples)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (
        "reader A: within one topic, events came in another order than they were published",
    )


def test_readers_that_agree_or_missed_an_event_prove_nothing() -> None:
    assert judge(key_order_samples(behind=False)).outcome is Outcome.INCONCLUSIVE
    assert judge(key_order_samples().iloc[:-1]).outcome is Outcome.INCONCLUSIVE


def test_the_figure_counts_what_each_reader_saw() -> None:
    figure = key_order.plot(key_order_samples(), key_order_prediction())
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[1] == "reader B: inversions within one topic 0, across two topics 6"
    assert any("predicted" in label for label in figure.axes[1].get_legend_handles_labels()[1])
