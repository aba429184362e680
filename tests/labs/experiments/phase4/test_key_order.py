"""Keys and order: within a topic there is one, across topics there is none."""

import pandas as pd
from matplotlib.colors import to_hex

from labs.experiments.phase4 import key_order
from labs.experiments.phase4.key_order import ACROSS, PAID, WITHIN
from labs.figures import SOFT, VERMILLION
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import key_order_prediction, key_order_samples


def judge(samples: pd.DataFrame) -> Verdict:
    return key_order.judge(samples, key_order_prediction())


def test_inversions_are_predicted_only_across_topics() -> None:
    table = key_order.predict(orders=8, steps=6).set_index(["reader", "pairs"])
    assert table["of"].to_list() == [80, 48, 80, 48]
    assert table["inversions"].to_list() == [0, 0, 0, 48]


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
    assert titles[1] == (
        "reader B, inversions: 0 within one topic (0 predicted), 6 across two topics (6 predicted)"
    )
    assert figure.texts[0].get_text() == (
        "Reader A saw 0 payments before their order, reader B 6; within a topic 0 inversions"
    )


def test_arrows_that_point_backwards_are_red() -> None:
    figure = key_order.plot(key_order_samples(), key_order_prediction())
    colours = [
        {to_hex(text.arrow_patch.get_edgecolor(), keep_alpha=False) for text in ax.texts}
        for ax in figure.axes
    ]
    assert colours == [{SOFT.lower()}, {VERMILLION.lower()}]
