"""An engine: one wrong charge fails; a case that did not happen as it should, or no engine, proves nothing."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest

from environment.errors import LabError
from environment.waiting import wait_until
from labs.experiment import until_conclusive
from labs.experiments.phase5 import engine, engine_lines, engine_order
from labs.experiments.phase5.engine_order import EngineOrder, order_at
from labs.verdicts import Outcome, Verdict
from tests.labs.experiments.phase5 import frames

PREDICTION = frames.engine_prediction()
ENV: Any = None
"""The experiment uses no environment."""

ANSWERED, LATE, NO_TOMBSTONE, KILLED, NOT_IDEMPOTENT = PREDICTION["case"]
ELSE = "the order ended otherwise than predicted"


def judge(samples: pd.DataFrame) -> Verdict:
    return engine.judge(samples, PREDICTION)


def changed(case: str, **values: object) -> pd.DataFrame:
    rows = frames.engine_samples().to_dict("records")
    return pd.DataFrame([row | values if row["case"] == case else row for row in rows])


def test_the_cases_as_predicted_pass() -> None:
    assert judge(frames.engine_samples()).outcome is Outcome.PASS


@pytest.mark.parametrize("arranged", [True, False])
@pytest.mark.parametrize(
    ("case", "values", "because"),
    [
        (LATE, {"charges": 1}, "the order was cancelled and charged"),
        (KILLED, {"charges": 2}, "the order was charged twice"),
        (ANSWERED, {"charges": 3, "refunds": 1}, "the order was charged twice"),
    ],
)
def test_one_wrong_charge_fails(
    case: str, values: dict[str, object], because: str, arranged: bool
) -> None:
    verdict = judge(changed(case, **values, arranged=arranged))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{case}: {because}",)


@pytest.mark.parametrize(
    ("case", "values"),
    [
        (ANSWERED, {"status": "cancelled", "charges": 0}),
        (ANSWERED, {"requests": 2}),
        (KILLED, {"charges": 0}),
        (KILLED, {"requests": 3}),
        (LATE, {"charges": 1, "refunds": 1}),
        (LATE, {"status": "completed"}),
        (NO_TOMBSTONE, {"charges": 0}),
        (NOT_IDEMPOTENT, {"charges": 1}),
    ],
)
def test_any_other_end_fails(case: str, values: dict[str, object]) -> None:
    verdict = judge(changed(case, **values))
    assert verdict.outcome is Outcome.FAIL
    assert verdict.reasons == (f"{case}: {ELSE}",)


@pytest.mark.parametrize("case", PREDICTION["case"])
@pytest.mark.parametrize("values", [{"arranged": False}, {"status": ""}, {"resting": False}])
def test_a_case_that_did_not_happen_proves_nothing(case: str, values: dict[str, object]) -> None:
    verdict = judge(changed(case, **values))
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.extend


def test_a_case_that_is_missing_is_in_doubt() -> None:
    assert judge(frames.engine_samples().iloc[1:]).reasons == (f"{ANSWERED}: not measured",)


@pytest.mark.parametrize("package", ["no-such-package", "pytest"])  # pytest has other versions
def test_without_the_engine_the_verdict_names_the_command(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "ENGINE", package)
    monkeypatch.setattr(engine, "order_at", None)  # nothing is started
    samples = until_conclusive(engine, PREDICTION, ENV)
    verdict = judge(samples)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.reasons == (engine.ABSENT,)
    assert "pip install 'dbos>=3.4,<4'" in engine.ABSENT
    assert not verdict.extend
    assert samples["attempt"].tolist() == [1] * len(PREDICTION)
    figure = engine.plot(samples, PREDICTION)
    assert figure.texts[0].get_text() == "Not measured: DBOS 3.4, the engine, is not installed"


def test_the_tests_have_the_engine() -> None:
    assert engine.is_installed()


def test_the_figure_names_the_orders_with_a_wrong_charge() -> None:
    (ax,) = engine.plot(frames.engine_samples(), PREDICTION).axes
    texts = [text.get_text() for text in ax.texts]
    assert texts[1:3] == ["cancelled, not charged", "cancelled, charged"]
    assert texts[4] == "completed, charged 2 times"


def test_the_lines_that_an_engine_has_vanish() -> None:
    lines = engine_lines.count()
    own, workflow = (
        dict(zip(lines["part"], lines[name], strict=True)) for name in ("own", "workflow")
    )
    vanished = [part for part in own if not workflow[part]]
    assert vanished == ["outbox and relay", "state row", "deadline and its sweeper", "retries"]
    assert sum(own[part] for part in vanished) > 3 * workflow["order of the steps"]
    tables = "tables of the participants"
    assert 0.5 < workflow[tables] / own[tables] < 2


def test_lines_without_code_do_not_count() -> None:
    source = (
        '"""Text\nof two lines."""\n\n# why\nX = [\n    1,  # one\n]\n\n\ndef f():\n    """Do."""\n'
    )
    assert engine_lines.code_lines(source) == {5, 6, 7, 10}
    assert engine_lines.code_lines(source, "X") == {5, 6, 7}
    with pytest.raises(KeyError):
        engine_lines.code_lines(source, "Y")


# The participants, over HTTP


@pytest.fixture
def order(tmp_path: Path) -> Iterator[EngineOrder]:
    with order_at(engine.PARTICIPANTS, tmp_path) as order:
        yield order


def test_a_participant_takes_the_steps_of_its_table(order: EngineOrder) -> None:
    def send(event: str, participant: str = "payment") -> httpx.Response:
        return httpx.post(f"http://{order.address}/order/{participant}/{event}", trust_env=False)

    assert [send("OrderCreated").json() for _ in range(2)] == [{"state": "charged"}] * 2
    assert send("OrderCancelled").json() == {"state": "refunded"}
    assert send("PaymentCompleted", "inventory").json() == {"state": "reserved"}
    refused = send("OrderConfirmed")
    assert (refused.status_code, "refunded" in refused.json()["problem"]) == (409, True)
    assert send("OrderCreated", "nothing").status_code == 409
    seen = order.rest()
    assert (seen.begun, seen.done, seen.charges, seen.refunds) == (2, 2, 1, 1)
    assert (seen.payment, seen.inventory) == ("refunded", "reserved")


def test_a_program_that_ends_early_is_explained(tmp_path: Path) -> None:
    with (
        pytest.raises(LabError, match="no-such-mutant"),
        order_at([*engine.PARTICIPANTS, "--mutant", "no-such-mutant"], tmp_path),
    ):
        pass


def test_a_program_does_not_outlive_a_killed_notebook(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from labs.experiments.phase5.engine_order import Program; import time\n"
        f"with Program(Path({str(tmp_path)!r}), {engine.PARTICIPANTS[0]!r}) as program:\n"
        "    program.line(); print(program.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as notebook:
        assert notebook.stdout is not None
        pid = int(notebook.stdout.readline())
        notebook.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not _alive(pid), timeout=20)


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# The engine itself


@pytest.mark.slow
def test_the_engine_passes_and_connects_to_the_participants_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = tmp_path / "connections"
    monkeypatch.setenv("CONNECTIONS", str(log))
    monkeypatch.setattr(engine_order, "WORKER", "tests.labs.experiments.phase5.watched_worker")
    before = set(Path(tempfile.gettempdir()).glob(f"{engine.PREFIX}*"))
    verdict = judge(until_conclusive(engine, PREDICTION, ENV))
    assert verdict.outcome is Outcome.PASS, verdict.reasons
    assert {line.split(":")[0] for line in log.read_text().splitlines()} == {"127.0.0.1"}
    assert set(Path(tempfile.gettempdir()).glob(f"{engine.PREFIX}*")) <= before
    assert not psutil.Process().children(recursive=True)
