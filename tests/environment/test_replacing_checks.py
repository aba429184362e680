"""A student's source is read before a service runs it: each mistake is explained with its line, and nothing runs."""

import ast
import json
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from environment.errors import LabError, UnknownName
from environment.replacing import MOST_BYTES, Replacement
from environment.replacing.checks import checked
from environment.replacing.explanation import explained
from environment.replacing.originals import READ_FIRST, find_original, stub, targets
from environment.replacing.sources import source_of
from microservices.kit.settings import REPLACED_BYTES

TARGET = "breaker.Breaker.is_failure"
GOOD = "def is_failure(self, status):\n    return status >= 500\n"


def refusal(source: str, target: str = TARGET, service: str = "api-gateway") -> str:
    with pytest.raises(LabError) as refused:
        checked(service, target, source)
    return str(refused.value)


# -- what is accepted --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        GOOD,
        "def is_failure(self: Breaker, status: int) -> 'bool':\n    return status >= 500\n",
        "def my_own(self, status: pandas.DataFrame):\n    return status >= 500\n",
        "import math\nLEAST = 500\n\ndef least():\n    return LEAST\n\n"
        "def is_failure(self, status):\n    log.info('%s %s', self.name, STATES)\n    return status >= least()\n",
        "def is_failure(self, status):\n    from microservices.api_gateway import budget\n    import interlock\n"
        "    return any(status >= each for each in [500])\n",
        "def is_failure(self, status):\n    global row\n    row = 1\n    return row\n",
    ],
)
def test_a_source_may_use_its_module_and_define_more(source: str) -> None:
    replacement = checked("api-gateway", TARGET, source)
    assert (replacement.module, replacement.name) == (
        "microservices.api_gateway.breaker",
        "Breaker.is_failure",
    )


def test_a_label_has_the_first_digits_of_the_hash() -> None:
    assert checked("api-gateway", TARGET, GOOD).label == f"{TARGET} 13bad97b33c4"


def test_a_class_stands_for_a_class() -> None:
    source = (
        "class Classifier:\n    def __init__(self, breaker):\n        pass\n\n"
        "    def is_failure(self, *, result, exception):\n        return False\n"
    )
    assert checked("api-gateway", "breaker.Classifier", source).short == "Classifier"
    assert "line 1, `class Classifier:`: the service also calls `is_failure`." in refusal(
        source.partition("\n\n")[0] + "\n", "breaker.Classifier"
    )


def test_a_class_keeps_its_bases_and_what_decorates_its_methods() -> None:
    source = "class CircuitOpen:\n    def __init__(self, retry_after):\n        pass\n"
    text = refusal(source, "breaker.CircuitOpen")
    assert text.endswith(
        "`class CircuitOpen:`: the service's own is `class CircuitOpen(Exception)`."
    )
    verdict = (
        "class Verdict:\n    def headers(self):\n        return {}\n",
        "class Verdict:\n    @property\n    def headers(self):\n        return {}\n",
    )
    wrong = refusal(verdict[0], "limiter.Verdict")
    assert wrong.endswith("the service's own has `@property`, so give yours it too.")
    assert checked("api-gateway", "limiter.Verdict", verdict[1])


def test_the_kit_is_shared_by_services_and_can_be_replaced() -> None:
    source = "def share(*, seed, order_id, step):\n    return 0.0\n"
    assert checked("payment-service", "kit.coin.share", source).module == "microservices.kit.coin"


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "def is_failure(self, status):\n    retrun status\n",
            "Your `is_failure` is not valid Python: line 2, `retrun status`: invalid syntax.",
        ),
        (
            "return 1\n",
            "Your `is_failure` is not valid Python: line 1, `return 1`: 'return' outside function.",
        ),
        (
            "def is_failure(self, status, row):\n    return row\n",
            "Your `is_failure`, line 1, `def is_failure(self, status, row):`: the service calls "
            "`is_failure(self, status)`, and yours is `is_failure(self, status, row)`. "
            "Keep the parameters, their names and their order.",
        ),
        (
            "async def is_failure(self, status):\n    return status\n",
            "Your `is_failure`, line 1, `async def is_failure(self, status):`: "
            "the service's own begins with `def`, so begin yours with it.",
        ),
        (
            "def is_failure(self, status):\n    return status >= LEAST\n",
            "Your `is_failure`, line 2, `return status >= LEAST`: neither your source nor "
            "microservices/api_gateway/breaker.py defines `LEAST`. "
            "Define it inside your function, or give the whole source as a text or a file.",
        ),
        (
            "def is_failure(self, status):\n    return eval('status')\n",
            "Your `is_failure`, line 2, `return eval('status')`: `eval` may not be used here.",
        ),
        (
            "@cache\ndef is_failure(self, status):\n    return status\n",
            "Your `is_failure`, line 1, `@cache`: "
            "the decorators of the original stay (none), so remove yours.",
        ),
        (
            f"{GOOD}print('mine')\n",
            "Your `is_failure`, line 3, `print('mine')`: "
            "outside of functions only imports, definitions and assignments may stand.",
        ),
        (
            "class is_failure:\n    pass\n",
            "Your `is_failure`, line 1, `class is_failure:`: "
            "breaker.Breaker.is_failure is a function, so write a function.",
        ),
        (
            "def one(self, status):\n    return 1\n\n\ndef two(self, status):\n    return 2\n",
            "Your source defines `one`, `two`: "
            "define `is_failure`, which stands for breaker.Breaker.is_failure.",
        ),
        (
            "is_failure = None\n",
            "Your source defines no function and no class: "
            "define `is_failure`, which stands for breaker.Breaker.is_failure.",
        ),
    ],
)
def test_a_mistake_is_explained_with_its_line(source: str, sentence: str) -> None:
    assert refusal(source) == sentence


@pytest.mark.parametrize("line", ["import os", "from subprocess import run", "from . import api"])
def test_an_import_outside_of_the_list_names_the_list(line: str) -> None:
    text = refusal(f"def is_failure(self, status):\n    {line}\n    return status\n")
    assert f"line 2, `{line}`" in text
    assert "may not be imported here. Allowed are microservices.api_gateway, " in text
    assert "math, numbers" in text


@pytest.mark.parametrize(
    "expression",
    ["\0", "'\ud800'", "-" * 30_000 + "1", "1+" * 30_000 + "1", "a" + ".a" * 30_000, "(" * 3000],
)
def test_no_source_ends_the_process_that_reads_it(expression: str) -> None:
    assert refusal(f"def is_failure(self, status):\n    return {expression}\n").startswith("Your ")


def test_a_source_that_is_too_long_is_refused_with_the_limit() -> None:
    assert MOST_BYTES == REPLACED_BYTES
    text = refusal(GOOD + "# " + "long " * 13_200)
    assert text.endswith("a service takes at most 65,536. Shorten it.")


@pytest.mark.parametrize(
    ("target", "near"),
    [
        ("breaker.Braker.is_failure", "Near names are: breaker.Breaker.is_failure, "),
        ("Breaker.is_failure", "Near names are: breaker.Breaker.is_failure, "),
        ("is_failure", "breaker.Breaker.is_failure"),
        ("kit.coin.shore", "Near names are: kit.coin.share, "),
        ("../../environment.x", "Modules: api, breaker, "),
        ("", "Modules: api, breaker, "),
    ],
)
def test_an_unknown_target_lists_names_like_it(target: str, near: str) -> None:
    with pytest.raises(UnknownName) as refused:
        checked("api-gateway", target, GOOD)
    assert str(refused.value).startswith(f"api-gateway has no {target!r} to replace")
    assert near in str(refused.value)


def test_what_is_read_before_anything_can_be_replaced_is_refused() -> None:
    assert "before anything can be replaced" in refusal(GOOD, "settings.GatewaySettings")
    assert not {name.rpartition(".")[0] for name in targets("api-gateway")} & READ_FIRST


def test_every_target_of_a_service_is_found_again() -> None:
    for target in targets("order-service") + targets("order-service", kit=True):
        assert find_original("order-service", target).target == target


# -- where a source comes from -----------------------------------------------------------------------------------------


def test_a_function_and_a_class_of_a_cell_have_their_sources(tmp_path: Path) -> None:
    shell = InteractiveShell()
    shell.run_cell("class Other:\n    def one(self):\n        return 1\n")
    shell.run_cell("class Counter:\n    def one(self):\n        return 2\n")
    assert source_of(shell.user_ns["Counter"]).endswith("return 2\n")
    assert source_of(shell.user_ns["Other"]).endswith("return 1\n")
    shell.run_cell("def mine(self):\n    return 3\n")
    assert source_of(shell.user_ns["mine"]) == "def mine(self):\n    return 3\n"


def test_a_text_and_a_file_are_sources(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    assert source_of(file) == source_of(f"\n    {GOOD.replace(chr(10), chr(10) + '    ')}") == GOOD
    with pytest.raises(LabError, match="cannot be read"):
        source_of(tmp_path / "other.py")


@pytest.mark.parametrize("given", [lambda self, status: True, 7, print, type("Made", (), {})])
def test_what_has_no_source_is_refused(given: object) -> None:
    with pytest.raises(LabError, match=r"begins with `def`|is not to be found"):
        source_of(given)


# -- why a service did not start ---------------------------------------------------------------------------------------

MINE = Replacement(TARGET, "m", "Breaker.is_failure", "def is_failure(self, status):\n    1 / 0\n")
TRACEBACK = (
    'Traceback (most recent call last):\n  File "/x/v1.py", line 55, in build\n    observe()\n'
    '  File "<your is_failure>", line 2, in is_failure\n    1 / 0\n    ~~^~~\n'
    "ZeroDivisionError: division by zero"
)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (TRACEBACK, "line 2, `1 / 0`: ZeroDivisionError: division by zero."),
        (
            json.dumps({"level": "ERROR", "message": "failed", "exc_info": TRACEBACK}),
            "line 2, `1 / 0`: ZeroDivisionError: division by zero.",
        ),
        (
            TRACEBACK.replace('"<your is_failure>", line 2', '"/x/breaker.py", line 1000001'),
            "line 1, `def is_failure(self, status):`: ZeroDivisionError: division by zero.",
        ),
        (
            'Traceback (most recent call last):\n  File "/x/v1.py", line 5, in build\nKeyError: 7',
            "KeyError: 7. That was raised by a line that is not yours.",
        ),
        (
            'Timeout (0:00:15)!\nThread 0x1 (most recent call first):\n  File "/x/re.py", line 9 in match\n'
            '  File "<your is_failure>", line 2 in is_failure\n  File "/x/v1.py", line 55 in build',
            "after 15 s it was still in line 2, `1 / 0`. Does it loop, or wait, without an end?",
        ),
        ("order-service: REPLACED: this version does not", "this version does not."),
        ("", "it ended with exit code 0 before it was ready, without an error in its log."),
    ],
)
def test_a_failed_start_is_explained_in_the_students_lines(log: str, reason: str) -> None:
    found = explained("api-gateway", MINE, log, "limit 30 s); it ended with exit code 0; last")
    assert found == (
        f"api-gateway did not start with your `is_failure`: {reason}\n"
        "It runs its original `is_failure` again."
    )


def test_the_stub_of_a_method_has_its_docstring_as_deep_as_its_code() -> None:
    text = stub("order-service", "kit.events.relay.Relay.publish_oldest")
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.AsyncFunctionDef)
    margins = {len(line) - len(line.lstrip()) for line in text.splitlines()[1:] if line}
    assert margins == {4}
    original = find_original("order-service", "kit.events.relay.Relay.publish_oldest").node
    assert ast.get_docstring(function) == ast.get_docstring(original)
