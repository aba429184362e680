"""The identity of a process, distinguished from a later process with the same pid."""

import dataclasses
import os
import subprocess
import sys

import pytest

from environment.identity import Identity


def test_an_identity_survives_being_written() -> None:
    own = Identity.own()
    assert Identity.parse(str(own)) == own
    assert not own.gone()


def test_an_ended_process_is_gone_even_as_a_zombie() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = Identity.of(process.pid)
    assert not identity.gone()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, not reaped
    assert identity.gone()
    process.communicate()
    assert identity.gone()


@pytest.mark.parametrize("change", [{"started": "1"}, {"boot": "another"}])
def test_a_pid_of_another_time_or_boot_is_another_process(change: dict[str, str]) -> None:
    assert dataclasses.replace(Identity.own(), **change).gone()


def test_a_process_of_another_namespace_is_never_called_gone() -> None:
    assert not dataclasses.replace(Identity.own(), namespace="1", pid=2**22).gone()


@pytest.mark.parametrize("text", ["", "a/b/c", "a/b/x/d", "1"])
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Identity.parse(text)
