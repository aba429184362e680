"""The measured numbers of the prose: what they are computed from, and how exact they are."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from labs.running.site.directives import measured_html
from labs.running.site.numbers import (
    Quantity,
    QuantityError,
    Reference,
    load_quantities,
    measure,
)

DRAWN = np.random.default_rng(3).normal(10, 2, 400)
SAMPLES = pd.DataFrame(
    {
        "way": ["direct", "through"] * 200,
        "latency": DRAWN + [0, 5] * 200,
        "ok": [True, True, True, False] * 100,
    }
)
FACTS = {
    "machine": {"cpu": "A processor", "cores": 2},
    "runtime": "process",
    "profile": "quick",
    "started": "2026-11-28T15:11:02+00:00",
}


def quantity(**keys: Any) -> Quantity:
    entry = {"experiment": "hop", "statistic": "median", "column": "latency", "holds": [0, 100]}
    return Quantity.read("q", entry | keys)


def record(samples: pd.DataFrame = SAMPLES) -> Any:
    return SimpleNamespace(samples=lambda name: samples, facts=FACTS)


def value(**keys: Any) -> float:
    return measure(quantity(**keys), record()).value


DIRECT = SAMPLES.latency[SAMPLES.way == "direct"]
THROUGH = SAMPLES.latency[SAMPLES.way == "through"]


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("median", DIRECT.median()),
        ("mean", DIRECT.mean()),
        ("min", DIRECT.min()),
        ("max", DIRECT.max()),
        ("p90", DIRECT.quantile(0.9)),
        ("p99", DIRECT.quantile(0.99)),
        ("sum", DIRECT.sum()),
        ("count", 200),
    ],
)
def test_a_statistic_is_taken_of_the_chosen_rows(statistic: str, expected: float) -> None:
    assert value(statistic=statistic, rows="way == 'direct'") == pytest.approx(expected)


def test_a_share_is_the_part_that_is_true() -> None:
    assert value(statistic="share", column="ok", scale=100) == 75


def test_a_column_may_be_an_expression() -> None:
    assert value(column="latency * 2", statistic="max") == pytest.approx(2 * SAMPLES.latency.max())


def test_another_part_is_subtracted_or_divides() -> None:
    through, direct = "way == 'through'", {"rows": "way == 'direct'"}
    assert value(rows=through, minus=direct) == pytest.approx(THROUGH.median() - DIRECT.median())
    assert value(rows=through, over=direct, scale=100) == pytest.approx(
        100 * THROUGH.median() / DIRECT.median()
    )


def test_the_interval_is_that_of_the_mean() -> None:
    found = measure(quantity(statistic="mean", rows="way == 'direct'"), record())
    error = DIRECT.std() / np.sqrt(len(DIRECT))
    assert found.high - found.value == pytest.approx(1.645 * error, rel=0.15)
    assert found.value - found.low == pytest.approx(1.645 * error, rel=0.15)


def test_the_interval_of_a_difference_holds_the_doubt_of_both() -> None:
    keys = {"statistic": "mean", "rows": "way == 'through'"}
    alone = measure(quantity(**keys), record())
    both = measure(quantity(**keys, minus={"rows": "way == 'direct'"}), record())
    assert both.high - both.low == pytest.approx(1.41 * (alone.high - alone.low), rel=0.2)


def test_the_interval_is_the_same_each_time() -> None:
    assert measure(quantity(), record()) == measure(quantity(), record())


def test_a_count_has_no_interval() -> None:
    found = measure(quantity(statistic="count", rows="way == 'direct'"), record())
    assert found.low == found.value == found.high == 200
    assert "interval" not in measured_html(quantity(statistic="count", digits=0), found)


def test_a_count_of_no_rows_is_zero() -> None:
    found = measure(quantity(statistic="count", rows="latency > 1000"), record())
    assert found.low == found.value == found.high == 0


def test_a_large_sample_is_drawn_in_parts() -> None:
    samples = pd.DataFrame({"latency": np.arange(30_000.0)})
    found = measure(quantity(statistic="mean"), record(samples))
    assert found.value == pytest.approx(14_999.5)
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"column": "speed"}, "q cannot be computed from hop.*speed.*columns: way, latency, ok"),
        ({"rows": "pace > 1"}, "q cannot be computed from hop.*pace"),
        ({"rows": "latency > 1000"}, "q finds no rows in hop: latency > 1000"),
        ({"over": {"column": "latency * 0"}}, "q is inf: it divides by zero"),
    ],
)
def test_a_number_that_cannot_be_computed_says_why(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(QuantityError, match=sentence):
        measure(quantity(**keys), record())


def test_samples_that_are_gone_are_an_error_of_the_quantity() -> None:
    def gone(name: str) -> pd.DataFrame:
        raise FileNotFoundError("hop.csv")

    lost = SimpleNamespace(samples=gone, facts=FACTS, path=Path("runs/lost"))
    with pytest.raises(QuantityError, match=r"q: runs/lost cannot be read \(hop.csv\)"):
        measure(quantity(), lost)  # type: ignore[arg-type]


def test_a_definition_without_a_range_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("q: {experiment: hop, statistic: count}\n")
    (tmp_path / "two.yaml").write_text("a: {experiment: hop, statistic: count, holds: [0, 1]}\n")
    (tmp_path / "three.yaml").write_text("a: [1\n")
    (tmp_path / "zero.yaml").write_text("a: {experiment: hop, statistic: count, holds: [0, 2]}\n")
    quantities, faults = load_quantities(tmp_path)
    assert list(quantities) == ["a"]
    assert quantities["a"].holds == (0, 1)
    assert [fault.partition(":")[0] for fault in faults] == [
        "one.yaml",
        "three.yaml is no YAML",
        "zero.yaml",
    ]
    assert "lacks the key 'holds'" in faults[0]
    assert "a is defined a second time" in faults[2]


@pytest.mark.parametrize(
    ("number", "digits", "text"), [(1234.56, 1, "1,234.6"), (-0.04, 1, "0.0"), (-0.06, 1, "-0.1")]
)
def test_a_number_is_shown_with_its_digits(number: float, digits: int, text: str) -> None:
    assert quantity(digits=digits).shown(number) == text


def test_a_reference_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = measure(quantity(), record())
    path = tmp_path / "numbers" / "reference.json"
    Reference(q=found).write(path)
    assert Reference.read(path) == {"q": found}
    assert Reference.read(tmp_path / "none.json") == {}
