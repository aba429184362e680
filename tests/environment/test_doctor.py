"""What `lab doctor` finds about machines that this one is not."""

import json
import platform
import tempfile
from pathlib import Path

import pytest

from environment import cgroup, folders, outside
from environment.client import doctor


def test_proxies_are_named_without_their_values(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"HTTPS_PROXY": "http://user:secret@proxy.invalid", "SSL_CERT_FILE": __file__}
    monkeypatch.setenv(outside.SET_ASIDE, json.dumps(given))
    found = doctor._network()
    assert found.state == "ok"
    assert "HTTPS_PROXY, SSL_CERT_FILE" in found.result
    assert "ignored on loopback" in found.result
    assert "secret" not in found.result


def test_a_certificate_that_is_gone_limits_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(outside.SET_ASIDE, json.dumps({"SSL_CERT_FILE": "/nowhere/ca.pem"}))
    found = doctor._network()
    assert found.state == "missing"
    assert "SSL_CERT_FILE: there is no such file" in found.result


def test_no_proxy_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(outside.SET_ASIDE, "{}")
    assert doctor._network().result == "none is set"


def test_a_path_too_long_for_a_socket_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(folders, "home", lambda: long)
    found = doctor._sockets()
    assert found.state == "broken"
    assert "short path" in found.next_step
    assert list(long.iterdir()) == []


def test_a_short_path_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        monkeypatch.setattr(folders, "home", lambda: Path(short))
        assert doctor._sockets().state == "ok"
        assert list(Path(short).iterdir()) == []


@pytest.mark.parametrize(
    ("system", "machine", "state"),
    [
        ("Linux", "x86_64", "ok"),
        ("Linux", "aarch64", "ok"),
        ("Darwin", "arm64", "ok"),
        ("Darwin", "x86_64", "broken"),
        ("Windows", "AMD64", "broken"),
    ],
)
def test_machines_without_wheels_are_named(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, state: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    found = doctor._system()
    assert found.state == state
    assert bool(found.next_step) == (state == "broken")


def test_a_quota_below_two_cores_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "cpu_limit", lambda: 1.5)
    found = doctor._cores()
    assert (found.state, found.result) == ("missing", "1.5 usable")
