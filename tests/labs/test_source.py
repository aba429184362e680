"""A cell shows code from the files of the services."""

import pytest

from environment.errors import UnknownName
from labs.experiments.phase2.computations import trial
from labs.source import SERVICES, show, show_function


def test_a_function_is_shown_as_written_with_its_decorator() -> None:
    shown = show("user_service/v2.py", "get_user").data
    file = (SERVICES / "user_service" / "v2.py").read_text()
    title, _, code = shown.partition("\n\n")
    assert title == "# microservices/user_service/v2.py"
    assert code in file
    assert code.startswith("@router.get")


def test_a_file_of_the_labs_is_shown_by_its_path() -> None:
    shown = show("labs/experiments/phase5/engine_worker.py", "buy").data
    title, _, code = shown.partition("\n\n")
    assert title == "# labs/experiments/phase5/engine_worker.py"
    assert code.startswith("@DBOS.workflow()\nasync def buy(")


def test_an_unknown_name_is_answered_with_the_existing_ones() -> None:
    with pytest.raises(UnknownName, match=r"has no pays; it has: .*\bpay\b"):
        show("order_service/payment.py", "pays")


def test_a_method_is_named_with_its_class_and_shown_flush_left() -> None:
    shown = show("api_gateway/breaker.py", "Breaker.call", "Breaker.is_failure").data
    assert "\nasync def call(self" in shown
    assert "\ndef is_failure(self" in shown
    assert "def observe" not in shown


def test_a_function_of_the_labs_is_shown_as_it_is_written() -> None:
    code = show_function(trial)
    assert code.data.startswith("# labs.experiments.phase2.computations\n\ndef trial(")
    assert "with Burst(" in code.data


def test_only_the_lines_that_carry_the_idea_are_shown() -> None:
    shown = show("order_service/payment.py", "pay", only="client.post").data.splitlines()
    assert shown[2].startswith("async def pay(")
    assert shown[-3:] == [
        "    ...",
        '    return verdict(await client.post("/pay", json=body))',
        "    ...",
    ]


def test_a_constant_is_shown_whole() -> None:
    shown = show("payment_service/saga.py", "TABLE").data
    assert "\nTABLE: Table = {" in shown
    assert shown.endswith("}")
    assert "BARRED = " not in shown
