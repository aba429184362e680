"""`REPLACED`: one definition of a module exchanged before the module is compiled."""

import json
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from microservices.kit.replacement import exchanged, with_own_lines
from microservices.kit.settings import BadSetting, Settings, read_settings
from tests.microservices.running import TOKEN, clean_environment, free_port

MODULE = '''\
"""A module."""
from __future__ import annotations

registered = []


def register(function):
    registered.append(function)
    return function


@register
def price(amount: Amount) -> Amount:
    return amount


class Shop:
    @property
    def total(self):
        return price(1)

    def sell(self):
        return self.total


class Amount:
    pass
'''


def run(name: str, source: str) -> dict[str, object]:
    code = compile(exchanged(MODULE, name, source), "shop.py", "exec", dont_inherit=True)
    names: dict[str, object] = {"__name__": "shop"}
    exec(with_own_lines(code, "<your code>"), names)
    return names


def test_references_and_decorators_stay_those_of_the_original() -> None:
    names = run("price", "def mine(amount: Amount) -> Amount:\n    return 2 * amount\n")
    (registered,) = names["registered"]  # type: ignore[misc]
    assert registered is names["price"]
    assert registered(4) == 8
    assert names["Shop"]().sell() == 2  # type: ignore[operator]


def test_a_method_uses_its_own_imports_and_the_modules_names() -> None:
    source = (
        '"""Mine."""\nfrom __future__ import annotations\nimport math\n\nFACTOR = 3\n\n\n'
        "def total(self: Shop) -> Amount:\n    return FACTOR * price(math.floor(2.5))\n"
    )
    assert run("Shop.total", source)["Shop"]().sell() == 6  # type: ignore[operator]


def test_a_class_stands_for_a_class() -> None:
    names = run("Shop", "class Shop:\n    def sell(self):\n        return 'sold'\n")
    assert names["Shop"]().sell() == "sold"  # type: ignore[operator]


def test_a_traceback_has_the_lines_of_the_source() -> None:
    names = run("Shop.total", "def total(self):\n    # mine\n    return 1 / 0\n")
    with pytest.raises(ZeroDivisionError) as raised:
        names["Shop"]().sell()  # type: ignore[operator]
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert [(f.filename, f.lineno, f.name) for f in frames[1:]] == [
        ("shop.py", 23, "sell"),
        ("<your code>", 3, "total"),
    ]


@pytest.mark.parametrize(("name", "source"), [("prize", "def prize(): ..."), ("price", "x = 1")])
def test_a_name_that_is_not_there_is_an_error(name: str, source: str) -> None:
    with pytest.raises(LookupError):
        exchanged(MODULE, name, source)


# -- the setting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replaced", "faults", "sentence"),
    [("x", "off", "REPLACED needs FAULTS=on"), ("x" * 65_537, "on", "at most 65,536 bytes")],
)
def test_code_needs_faults_and_a_token_and_has_a_limit(
    monkeypatch: pytest.MonkeyPatch, replaced: str, faults: str, sentence: str
) -> None:
    for name, value in {"REPLACED": replaced, "FAULTS": faults, "CONTROL_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=sentence) as refused:
        read_settings(Settings, port=3001, instance="users-1")
    assert "xxx" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nonsense", "REPLACED should be JSON with module, name and source"),
        (
            json.dumps({"module": "os", "name": "getpid", "source": ""}),
            "os is not a module of this",
        ),
        (
            json.dumps({"module": "microservices.kit.settings", "name": "S", "source": ""}),
            "microservices.kit.settings is in use before anything can be replaced",
        ),
        (
            json.dumps({"module": "microservices.user_service.v2", "name": "x", "source": ""}),
            "this version of the service does not import microservices.user_service.v2",
        ),
        (
            json.dumps({"module": "microservices.user_service.store", "name": "x", "source": ""}),
            "x cannot be replaced: there is no x",
        ),
    ],
)
def test_what_cannot_be_replaced_is_one_line(text: str, sentence: str, tmp_path: Path) -> None:
    ended = start(text, tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_source_that_takes_all_memory_ends_before_the_machine_suffers(tmp_path: Path) -> None:
    source = "def create_tables(connection):\n    return 0\n\n\nMUCH = b'x' * (3 << 30)\n"
    replaced = {"module": "microservices.user_service.store", "name": "create_tables"}
    ended = start(json.dumps({**replaced, "source": source}), tmp_path)
    assert ended.stderr.splitlines()[-1] == "MemoryError"


def start(replaced: str, data: Path) -> subprocess.CompletedProcess[str]:
    settings = {"FAULTS": "on", "CONTROL_TOKEN": TOKEN, "PORT": free_port(), "DATA_DIR": data}
    return subprocess.run(
        [sys.executable, "-m", "microservices.user_service"],
        env=clean_environment(REPLACED=replaced, **settings),
        capture_output=True,
        text=True,
        timeout=30,
    )
