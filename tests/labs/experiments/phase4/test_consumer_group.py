"""Consumer group: the busiest member decides how long it takes."""

from types import SimpleNamespace
from unittest.mock import MagicMock

import pandas as pd
import pytest

from labs.experiments.phase4 import consumer_group
from labs.experiments.phase4.consumer_group import _at_rest
from labs.experiments.phase4.names import CREATED
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase4.event_frames import (
    consumer_group_prediction,
    consumer_group_samples,
)


def judge(samples: pd.DataFrame) -> Verdict:
    return consumer_group.judge(samples, consumer_group_prediction())


def attempts(count: int, **changes: float) -> pd.DataFrame:
    return pd.concat(
        [consumer_group_samples(**changes).assign(attempt=n + 1) for n in range(count)],
        ignore_index=True,
    )


def test_four_are_no_faster_than_three_and_a_seventh_idles() -> None:
    table = consumer_group.predict(messages=60, seconds=0.1, members=range(1, 8))
    assert list(table["drain"]) == pytest.approx([6, 3, 2, 2, 2, 1, 1])
    assert list(table["working"]) == [1, 2, 3, 4, 5, 6, 6]


def test_the_predicted_behaviour_passes() -> None:
    verdict = judge(consumer_group_samples())
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert verdict.details["drains"][-1]["shared"] == 6


def test_a_drain_that_is_slow_twice_fails() -> None:
    assert judge(consumer_group_samples(times=1.4)).outcome is Outcome.INCONCLUSIVE
    assert judge(attempts(2, times=1.4)).outcome is Outcome.FAIL
    assert judge(attempts(4, times=1.4)).outcome is Outcome.FAIL
    once = pd.concat([attempts(3, times=1.4), consumer_group_samples().assign(attempt=4)])
    assert judge(once.reset_index(drop=True)).outcome is Outcome.PASS


def test_a_slow_drain_on_busy_cores_is_in_doubt() -> None:
    verdict = judge(attempts(4, times=1.4, idle=0.1))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "1 member: slower than predicted, on busy cores" in verdict.reasons


def test_a_group_that_works_on_several_messages_at_once_fails() -> None:
    verdict = judge(consumer_group_samples(late=0, times=0.5))
    assert "3 members: faster than one message at a time allows" in verdict.reasons


def test_partitions_that_are_not_shared_and_a_lost_message_fail() -> None:
    alone = consumer_group_samples()
    alone.loc[alone["members"] == 3, "member"] = "payment-service-1"
    assert judge(alone).reasons == ("3 members: the partitions were not shared as predicted",)
    lost = consumer_group_samples()
    lost.loc[20, "paid"] = None
    assert judge(lost).reasons == ("3 members: a message was never paid for",)


def test_a_size_that_was_not_measured_is_inconclusive() -> None:
    samples = consumer_group_samples()
    assert judge(samples[samples["members"] != 7]).outcome is Outcome.INCONCLUSIVE


def test_the_figure_has_every_size() -> None:
    figure = consumer_group.plot(consumer_group_samples(), consumer_group_prediction())
    assert figure.texts[0].get_text() == (
        "7 members were 5.7 times as fast as 1; 4 no faster than 3"
    )
    (ax,) = figure.axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["1", "3", "4", "7"]


def test_steps_are_where_the_busiest_has_less_and_not_at_the_divisors() -> None:
    table = consumer_group.predict(messages=100, seconds=0.1, members=range(1, 12), partitions=10)
    faster = table["members"][table["drain"].diff().fillna(-1) < 0]
    assert list(faster) == [1, 2, 3, 4, 5, 10]  # 3 and 4 divide nothing


def test_a_removed_member_that_still_has_partitions_is_not_at_rest() -> None:
    looks = iter(["123456", "164321", "144321"])  # the member of each partition, look by look

    def lag(_group: str) -> pd.DataFrame:
        return pd.DataFrame(
            {"topic": CREATED, "partition": range(6), "lag": 0, "member": list(next(looks))}
        )

    running = SimpleNamespace(replicas=[SimpleNamespace(id=member) for member in "1234"])
    env = MagicMock()
    env.__getitem__.return_value = running
    env.kafka.lag = lag
    assert "".join(_at_rest(env, 4).values()) == "144321"
