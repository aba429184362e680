"""Loopback ignores the variables of the network outside; a download follows them."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from environment import Environment, outside
from environment.compose import ROOT, read_description
from environment.images.engine import connect
from environment.images.programs import run_program
from environment.kafka import jars
from environment.phases import read_phase

PROXIES = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "127.0.0.1:9",
    "HTTPS_PROXY": "https://user:pass word@proxy.invalid:port",
    "ALL_PROXY": "socks5h://127.0.0.1:9",
    "all_proxy": "gopher://[oops",
    "FTP_PROXY": "::",
    "NO_PROXY": "::1/128, [oops, *.example.org, 10.0.0.0/8",
}
FILES = dict.fromkeys((*outside.FILES, "SSLKEYLOGFILE"), "/nowhere/file.pem")
HOSTILE = PROXIES | FILES | {"no_proxy": "localhost:x"}

CLIENTS = """
import sys, urllib.request
import environment
import aiohttp, asyncio, httpx, requests, docker
url = sys.argv[1]
async def ask():
    async with aiohttp.ClientSession(trust_env=True) as client, client.get(url) as response:
        return response.status
answers = [
    httpx.get(url).status_code,
    httpx.Client().get(url).status_code,
    requests.get(url).status_code,
    urllib.request.urlopen(url).status,
    asyncio.run(ask()),
    docker.APIClient(base_url=url.replace("http:", "tcp:"), version="1.41").get(url).status_code,
]
print(answers)
"""


class Ready(http.server.BaseHTTPRequestHandler):
    """Answers every request."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


class NotReady(Ready):
    status = 503


class Proxy(Ready):
    """Notes what it is asked to connect to, and refuses."""

    asked: ClassVar[list[str]] = []

    def do_CONNECT(self) -> None:
        self.asked.append(self.path)
        self.send_error(403)


@contextmanager
def serving(kind: type[Ready]) -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving(Ready) as url:
        yield url


def plain() -> dict[str, str]:
    """The variables of this process before anything was set aside, without a proxy."""
    return {name: value for name, value in os.environ.items() if not outside.is_outside(name)}


def clients(url: str, variables: dict[str, str]) -> str:
    """What every HTTP client of the course gets from `url` in a process with these variables."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENTS, url],
        env=variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("names", [PROXIES, FILES, HOSTILE], ids=["proxies", "files", "all"])
def test_every_client_reaches_loopback(url: str, names: dict[str, str]) -> None:
    variables = plain() | {name: HOSTILE[name] for name in names}
    variables.pop(outside.SET_ASIDE, None)
    assert clients(url, variables) == str([200] * 6)


def test_a_child_inherits_what_was_set_aside() -> None:
    once = outside.inside(plain() | HOSTILE)
    assert {name: value for name, value in once.items() if outside.is_outside(name)} == {
        "NO_PROXY": "*",
        "no_proxy": "*",
    }
    assert outside.inside(once) == once
    assert outside.set_aside_in(once).items() >= HOSTILE.items()


def test_a_download_gets_the_variables_back() -> None:
    given = {"PATH": "/bin"} | HOSTILE
    assert outside.back_outside(outside.inside(given)) == given
    assert outside.back_outside(given) == given


def test_a_download_without_proxies_gets_none() -> None:
    given = {"PATH": "/bin"}
    assert outside.back_outside(outside.inside(given)) == given


def test_a_variable_that_is_set_later_counts() -> None:
    later = outside.inside({"HTTP_PROXY": "http://old:1"}) | {"HTTP_PROXY": "http://new:1"}
    assert outside.back_outside(later) == {"HTTP_PROXY": "http://new:1"}


@pytest.mark.parametrize(
    "content", ["", "yes", "[]", "null", '{"PATH": "/else"}', '{"X_PROXY": 1}']
)
def test_a_foreign_value_does_no_harm(content: str) -> None:
    variables = outside.inside({"PATH": "/bin", outside.SET_ASIDE: content})
    assert variables["PATH"] == "/bin"
    assert outside.back_outside(variables)["PATH"] == "/bin"


def test_this_process_has_them_within_a_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(outside.SET_ASIDE, json.dumps({"HTTPS_PROXY": "http://proxy.invalid:1"}))
    with outside.outside():
        assert os.environ["HTTPS_PROXY"] == "http://proxy.invalid:1"
        assert "NO_PROXY" not in os.environ
        with outside.outside():
            assert os.environ["HTTPS_PROXY"] == "http://proxy.invalid:1"
    assert "HTTPS_PROXY" not in os.environ
    assert os.environ["NO_PROXY"] == "*"


def test_programs_of_a_build_use_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(outside.SET_ASIDE, json.dumps({"HTTPS_PROXY": "http://proxy.invalid:1"}))
    lines: list[str] = []
    run_program(["env"], action="", next_step="", each=lines.append)
    assert "HTTPS_PROXY=http://proxy.invalid:1" in lines


def test_kafkas_jars_come_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Proxy) as proxy:
        monkeypatch.setenv(outside.SET_ASIDE, json.dumps({"HTTPS_PROXY": proxy}))
        assert not jars.repository_answers()
    assert Proxy.asked


@pytest.mark.parametrize("service", ["user-service", "api-gateway"])
def test_a_health_check_ignores_the_proxy_of_its_container(url: str, service: str) -> None:
    health = read_description(variables=read_phase("phase2")).services[service].healthcheck
    assert health
    command = [sys.executable if word == "python" else word for word in health.test[1:]]

    def status(url: str) -> int:
        variables = plain() | PROXIES | {"NO_PROXY": "", "PORT": url.rpartition(":")[2]}
        return subprocess.run(command, env=variables, capture_output=True).returncode

    assert status(url) == 0
    assert status("http://127.0.0.1:9") != 0
    with serving(NotReady) as not_ready:
        assert status(not_ready) != 0


@pytest.mark.docker
def test_no_container_gets_the_proxies_of_dockers_client(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxies = {"default": {"httpProxy": "http://127.0.0.1:9", "noProxy": "nothing"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with (
        Environment("phase0", runtime="docker", only=["user-service"]) as env,
        closing(connect()) as client,
    ):
        container = client.containers.get(str(env["user-service"].replicas[0].container))
        assert "proxy" not in json.dumps(container.attrs["Config"]["Env"]).lower()
