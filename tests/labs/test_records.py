"""A record can be judged and drawn again without anything running, and is readable at any moment."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from environment.waiting import wait_until
from labs.experiment import find, modules
from labs.experiments.phase3 import slow_replica
from labs.guessing import GuessError
from labs.load.schedule import LoadReport
from labs.records import RecordError, Run, load_record, runs_folder
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase0 import frames
from tests.labs.experiments.phase1 import front_frames, gateway_frames
from tests.labs.experiments.phase2 import (
    blocking_frames,
    scaling_frames,
    test_stale_upstream,
    test_utilisation,
    test_waits,
)
from tests.labs.experiments.phase3 import balancing_frames, kubernetes_frames, release_frames
from tests.labs.experiments.phase4 import delivery_frames, event_frames
from tests.labs.experiments.phase5 import frames as saga_frames

SAMPLES = {
    "independence": (frames.independence_samples(), frames.independence_prediction()),
    "startup": (frames.startup_samples(together=1.5), frames.startup_prediction()),
    "versions": (frames.versions_samples(), frames.versions_prediction()),
    "hop": (front_frames.hop_samples(), front_frames.hop_prediction()),
    "aggregation": (front_frames.aggregation_samples(), front_frames.aggregation_prediction()),
    "partial_answers": (
        front_frames.partial_answers_samples(),
        front_frames.partial_answers_prediction(),
    ),
    "auth": (front_frames.auth_samples(), front_frames.auth_prediction()),
    "rate_limit": (gateway_frames.rate_limit_samples(), gateway_frames.rate_limit_prediction()),
    "circuit_breaker": (
        gateway_frames.circuit_breaker_samples(),
        gateway_frames.circuit_breaker_prediction(),
    ),
    "blocking": (gateway_frames.blocking_samples(), gateway_frames.blocking_prediction()),
    "retry_storm": (gateway_frames.retry_storm_samples(), gateway_frames.retry_storm_prediction()),
    "cpu_blocking": (
        blocking_frames.cpu_blocking_samples(),
        blocking_frames.cpu_blocking_prediction(),
    ),
    "head_of_line_blocking": (
        blocking_frames.head_of_line_blocking_samples(),
        blocking_frames.head_of_line_blocking_prediction(),
    ),
    "ratio_claim": (
        blocking_frames.ratio_claim_samples(),
        blocking_frames.ratio_claim_prediction(),
    ),
    "offloading": (blocking_frames.offloading_samples(), blocking_frames.offloading_prediction()),
    "loop_delay": (blocking_frames.loop_delay_samples(), blocking_frames.loop_delay_prediction()),
    "atomic_counter": (
        scaling_frames.atomic_counter_samples(),
        scaling_frames.atomic_counter_prediction(),
    ),
    "counter_drift": (
        scaling_frames.counter_drift_samples(),
        scaling_frames.counter_drift_prediction(),
    ),
    "workers": (scaling_frames.workers_samples(), scaling_frames.workers_prediction()),
    "throughput": (scaling_frames.throughput_samples(), scaling_frames.throughput_prediction()),
    "limits": (scaling_frames.limits_samples(), scaling_frames.limits_prediction()),
    "distribution": (
        balancing_frames.distribution_samples(),
        balancing_frames.distribution_prediction(),
    ),
    "health_check": (
        balancing_frames.health_check_samples(),
        balancing_frames.health_check_prediction(),
    ),
    "long_request": (
        balancing_frames.long_request_samples(),
        balancing_frames.long_request_prediction(),
    ),
    "slow_replica": (balancing_frames.slow_replica_samples(), slow_replica.predict()),
    "autoscaling": (
        balancing_frames.autoscaling_samples(),
        balancing_frames.autoscaling_prediction(),
    ),
    "rolling_replacement": (
        release_frames.rolling_replacement_samples(),
        release_frames.rolling_replacement_prediction(),
    ),
    "blue_green": (release_frames.blue_green_samples(), release_frames.blue_green_prediction()),
    "canary": (release_frames.canary_release(), release_frames.canary_prediction()),
    "kubernetes_objects": (
        kubernetes_frames.kubernetes_objects_samples(),
        kubernetes_frames.PREDICTION,
    ),
    "accept_and_done": (
        event_frames.accept_and_done_samples(),
        event_frames.accept_and_done_prediction(),
    ),
    "overload": (event_frames.overload_samples(), event_frames.overload_prediction()),
    "key_order": (event_frames.key_order_samples(), event_frames.key_order_prediction()),
    "consumer_group": (
        event_frames.consumer_group_samples(),
        event_frames.consumer_group_prediction(),
    ),
    "rebalance": (event_frames.rebalance_samples(), event_frames.rebalance_prediction()),
    "duplicates": (delivery_frames.duplicates_samples(), delivery_frames.duplicates_prediction()),
    "replay": (delivery_frames.replay_samples(), delivery_frames.replay_prediction()),
    "dual_write": (delivery_frames.dual_write_samples(), delivery_frames.dual_write_prediction()),
    "broker_dies": (
        delivery_frames.broker_dies_samples(),
        delivery_frames.broker_dies_prediction(),
    ),
    "retry_and_dead_letters": (
        delivery_frames.retry_and_dead_letters_samples(),
        delivery_frames.retry_and_dead_letters_prediction(),
    ),
    "stale_upstream": (test_stale_upstream.samples(), test_stale_upstream.PREDICTION),
    "waits": (test_waits.samples(), test_waits.PREDICTION),
    "utilisation": (test_utilisation.samples(), test_utilisation.PREDICTION),
    "interleavings": (saga_frames.interleavings_samples(), saga_frames.interleavings_prediction()),
    "trace_replay": (saga_frames.trace_replay_samples(), saga_frames.trace_replay_prediction()),
    "outcomes": (saga_frames.outcomes_samples(), saga_frames.outcomes_prediction()),
    "money": (saga_frames.money_samples(), saga_frames.money_prediction()),
    "deadline": (saga_frames.deadline_samples(), saga_frames.deadline_prediction()),
    "engine": (saga_frames.engine_samples(), saga_frames.engine_prediction()),
    "compensation_first": (
        saga_frames.compensation_first_samples(),
        saga_frames.compensation_first_prediction(),
    ),
    "crash_anywhere": (
        saga_frames.crash_anywhere_samples(),
        saga_frames.crash_anywhere_prediction(),
    ),
    "give_up": (saga_frames.give_up_samples(), saga_frames.give_up_prediction()),
    "coordination": (
        saga_frames.coordination_samples(),
        saga_frames.coordination_prediction(),
    ),
    "refunds": (saga_frames.refunds_samples(), saga_frames.refunds_prediction()),
    "lambda_kappa": (saga_frames.lambda_kappa_samples(), saga_frames.lambda_kappa_prediction()),
    "windows": (saga_frames.windows_samples(), saga_frames.windows_prediction()),
    "story": (saga_frames.story_samples(), saga_frames.story_prediction()),
    "duration": (saga_frames.duration_samples(), saga_frames.duration_prediction()),
    "saga_throughput": (
        saga_frames.saga_throughput_samples(),
        saga_frames.saga_throughput_prediction(),
    ),
}


BADGE = 1.3
"""Inches at the right end of the title's line, where the badge of an inconclusive verdict begins."""


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_RUNS", str(tmp_path))
    monkeypatch.delenv("LAB_RUN", raising=False)


def environment() -> Any:
    memory = pd.DataFrame({"memory_mib": [70, 71, 72]})
    return SimpleNamespace(
        phase="phase0",
        runtime="process",
        database="sqlite",
        seed=7,
        running=True,
        status=lambda: memory,
        replacements=dict,
    )


def keep(run: Run, name: str) -> Verdict:
    samples, prediction = SAMPLES[name]
    return run.keep(find(name), samples, prediction)


def test_every_experiment_has_samples_here() -> None:
    assert set(SAMPLES) == set(modules())


@pytest.mark.parametrize("name", modules())
def test_verdict_and_figure_come_again_from_the_record_alone(name: str) -> None:
    run = Run(environment(), profile="quick")
    given = keep(run, name)
    record = load_record(run.path)
    pd.testing.assert_frame_equal(record.samples(name), SAMPLES[name][0])
    pd.testing.assert_frame_equal(record.prediction(name), SAMPLES[name][1])
    assert record.judge(name) == record.verdict(name) == given
    assert dict(record.judge(name).details) == dict(given.details)
    assert record.plot(name).axes
    assert (run.path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


LOADED = [name for name, (samples, _) in SAMPLES.items() if "lag" in samples]


@pytest.mark.parametrize("name", LOADED)
def test_a_late_load_leaves_the_numbers_that_a_lab_reads(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = find(name).judge(*SAMPLES[name])
    monkeypatch.setattr(LoadReport, "kept_schedule", False)
    late = find(name).judge(*SAMPLES[name])
    assert set(late.details) >= set(usual.details)
    numbers = [[set(case) for case in each.details.get("cases", [])] for each in (usual, late)]
    assert numbers[0] == numbers[1]
    assert find(name).plot(*SAMPLES[name]).axes


@pytest.mark.parametrize("name", modules())
def test_every_figure_has_title_runtime_and_units(name: str) -> None:
    samples, prediction = SAMPLES[name]
    figure = find(name).plot(samples, prediction)
    title, subtitle = (text.get_text() for text in figure.texts[:2])
    assert len(title) > 10
    assert subtitle.startswith(f"runtime: {samples['runtime'].iloc[0]}")
    assert overlaps(figure) == []
    for axes in figure.axes:
        if axes.has_data() and axes.axison:
            above = [axes.get_title(loc="left"), axes.get_title()]
            beside = [figure.get_supxlabel(), *(each.get_xlabel() for each in shared_x(axes))]
            assert categorical(*(each.xaxis for each in shared_x(axes))) or has_unit(*beside)
            left = [axes.get_ylabel(), figure.get_supylabel()]
            assert categorical(axes.yaxis) or has_unit(*left, *above), f"{name}: {left}"
    plt.close(figure)


def overlaps(figure: Figure) -> list[str]:
    """Return the lines above the axes that run into the verdict's badge, the legend or the figure's edge."""
    title, subtitle = (text.get_window_extent() for text in figure.texts[:2])
    legends = [each.get_window_extent() for each in figure.legends]
    width = figure.bbox.width
    wrong_lines = {
        "title": title.x1 > width - BADGE * figure.dpi,
        "second line": subtitle.x1 > width or any(subtitle.overlaps(each) for each in legends),
        "legend": any(each.x0 < 0 for each in legends),
    }
    return [line for line, wrong in wrong_lines.items() if wrong]


def shared_x(axes: Axes) -> list[Axes]:
    """Return the axes with the same x as these, of which only the lowest is labelled."""
    figure = axes.get_figure(root=True)
    assert figure
    return [each for each in figure.axes if each.get_xlim() == axes.get_xlim()]


def categorical(*axis: Axis) -> bool:
    """Return whether a tick is named by anything but a number."""
    ticks = [label.get_text() for each in axis for label in each.get_ticklabels()]
    return any(not re.fullmatch(r"[\u2212\d.,]*|\$.*\$", tick) for tick in ticks)


def has_unit(*labels: str) -> bool:
    return any(re.search(r"\([^)]+\)", label) for label in labels)


def test_the_verdict_is_recomputed_not_repeated() -> None:
    run = Run(environment(), profile="quick")
    keep(run, "versions")
    path = run.path / "versions.csv"
    path.write_text(path.read_text().replace("yes", "no"))
    record = load_record(run.path)
    assert record.verdict("versions").outcome == "pass"
    assert record.judge("versions").outcome == "fail"


def test_a_record_says_where_and_how_it_was_measured() -> None:
    run = Run(environment(), profile="quick", seconds=9)
    keep(run, "versions")
    facts = load_record(run.finish().path).facts
    assert facts["parameters"] == {"seconds": 9}
    assert (facts["seed"], facts["profile"], facts["runtime"]) == (7, "quick", "process")
    assert facts["database"] == "sqlite"
    assert {"cpu", "cores", "memory_gib", "os", "python"} <= set(facts["machine"])
    assert {"pandas", "aiohttp", "fastapi"} <= set(facts["versions"])
    assert facts["memory_mib"] == 213
    assert facts["seconds"] > 0
    assert facts["status"] == "complete"


def test_a_record_names_the_code_that_was_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    env, replaced = environment(), {"api-gateway": "breaker.Breaker.is_failure 13bad97b33c4"}
    env.replacements = lambda: replaced
    samples, prediction = SAMPLES["versions"]
    monkeypatch.setattr(find("versions"), "measure", lambda env: samples)
    run = Run(env, profile="quick")
    run.measure(find("versions"), prediction)
    env.replacements = dict  # its block has ended
    run.keep(find("versions"), samples, prediction)
    keep(run, "independence")
    facts = load_record(run.path).facts["experiments"]
    assert (facts["versions"]["replaced"], facts["independence"]["replaced"]) == (replaced, {})


def test_latest_is_the_last_run_even_within_one_second() -> None:
    first, second = (Run(environment(), profile="quick") for _ in range(2))
    assert first.path != second.path
    assert load_record(runs_folder() / "latest").path == second.path.resolve()
    assert second.path.name.endswith(("-phase0-process", "-phase0-process-2"))


def test_a_run_that_has_measured_nothing_yet_is_readable() -> None:
    record = load_record(Run(environment(), profile="quick").path)
    assert record.facts["status"] == "running"
    assert record.experiments == []
    with pytest.raises(RecordError, match="holds no experiment 'versions'"):
        record.judge("versions")


def test_a_missing_and_a_newer_record_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is not a run record"):
        load_record(tmp_path)
    run = Run(environment(), profile="quick")
    path = run.path / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(RecordError, match="newer version"):
        load_record(run.path)


class Measured:
    """An experiment of recorded samples, to be measured by a run."""

    def __init__(self, name: str) -> None:
        self._experiment, self._samples = find(name), SAMPLES[name][0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._experiment, name)

    def measure(self, *_: Any, **__: Any) -> pd.DataFrame:
        return self._samples


def test_a_guess_is_in_the_record_before_and_after_its_measurement(
    capsys: pytest.CaptureFixture[str],
) -> None:
    hop: Any = Measured("hop")
    run = Run(environment(), profile="quick")
    run.guess(hop, overhead_ms=20, sure=0.9)
    run.guess(hop, overhead_ms=2, sure=0.8)
    (guess,) = load_record(run.path).guesses.to_dict("records")
    assert (guess["guessed"], guess["sure"], guess["measured"]) == (2, 0.8, None)
    run.measure(hop, SAMPLES["hop"][1])
    record = load_record(run.path)
    (guess,) = record.guesses.to_dict("records")
    assert (guess["experiment"], guess["quantity"], guess["right"]) == ("hop", "overhead_ms", True)
    assert guess["measured"] == pytest.approx(1.0)
    assert "you guessed 2 ms (80% sure) · theory 2 ms" in capsys.readouterr().out
    assert record.calibration().summary == run.calibration().summary
    assert "right in 1 of 1" in run.calibration().summary


def test_a_run_without_guesses_shows_no_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    run, hop = Run(environment(), profile="quick"), Measured("hop")
    run.guess(hop, overhead_ms=..., sure=...)  # type: ignore[arg-type]
    run.measure(hop, SAMPLES["hop"][1])  # type: ignore[arg-type]
    assert "guessed" not in capsys.readouterr().out
    assert load_record(run.path).guesses.empty
    assert "No guess of this run" in repr(run.calibration())


def test_a_measurement_that_waits_for_a_guess_measures_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAB_GUESSES", "on")
    run, hop = Run(environment(), profile="quick"), Measured("hop")
    monkeypatch.setattr(hop, "_samples", None)
    with pytest.raises(GuessError, match="Guess before you look"):
        run.measure(hop, SAMPLES["hop"][1])  # type: ignore[arg-type]


def test_a_record_from_before_the_guesses_is_readable() -> None:
    run = Run(environment(), profile="quick")
    path = run.path / "record.json"
    facts = json.loads(path.read_text())
    del facts["guesses"]
    path.write_text(json.dumps(facts))
    record = load_record(run.path)
    assert record.guesses.empty
    assert record.calibration().topics.empty


ENDLESS = """
from tests.labs.test_records import environment, keep
from labs.records import Run
run = Run(environment(), profile="quick")
print(flush=True)
while True:
    keep(run, "versions")
"""


def test_a_run_killed_while_it_writes_leaves_a_readable_record() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE) as writer:
        assert writer.stdout
        writer.stdout.readline()
        latest = runs_folder() / "latest"
        # At any moment of its life, and after its violent end:
        assert wait_until(lambda: load_record(latest).experiments, timeout=30, every=0.001)
        writer.send_signal(signal.SIGKILL)
    record = load_record(latest)
    assert record.judge("versions") == record.verdict("versions")


LOG = """{"time": "2026-11-28T12:00:00Z", "instance": "a-1", "message": "refused", "orderId": "order-3"}"""


def failing(env: Any) -> tuple[Run, Any]:
    """A run in which an order was charged too seldom, and the experiment."""
    duplicates: Any = Measured("duplicates")
    duplicates._samples = duplicates._samples.assign(charges=[1, 1, 2, 1, 4, 4, *[1] * 6])
    run = Run(env, profile="quick")
    run.measure(duplicates, SAMPLES["duplicates"][1])
    return run, duplicates


class Logged(SimpleNamespace):
    """An environment with one service, whose log has one line."""

    services = ("a",)

    def __getitem__(self, name: str) -> Any:
        return SimpleNamespace(logs=lambda lines: LOG)


def test_a_verdict_that_fails_displays_one_order_and_its_log_lines() -> None:
    run, duplicates = failing(Logged(**vars(environment())))
    verdict = run.keep(duplicates, duplicates._samples, SAMPLES["duplicates"][1])
    assert verdict.outcome is Outcome.FAIL
    for text in (str(verdict), verdict._repr_html_()):
        assert text.index("charged less often") < text.index("(order-3)") < text.index("refused")
    assert "refused" not in (run.path / "record.json").read_text()
    assert load_record(run.path).verdict("duplicates") == verdict


def test_evidence_is_shown_only_with_the_samples_that_were_measured() -> None:
    run, duplicates = failing(Logged(**vars(environment())))
    assert "evidence" not in str(keep(run, "duplicates")), "these samples pass"
    others = duplicates._samples.assign(charges=0)
    assert "evidence" not in str(run.keep(duplicates, others, SAMPLES["duplicates"][1]))


def test_samples_are_not_lost_when_no_evidence_can_be_read() -> None:
    run, duplicates = failing(environment())  # it has no services
    verdict = run.keep(duplicates, duplicates._samples, SAMPLES["duplicates"][1])
    assert verdict.outcome is Outcome.FAIL
    assert "evidence" not in str(verdict)
