"""What the Docker runtime promises beyond the contract: confinement, addresses, labels, and no residue."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from docker import DockerClient
from docker.errors import APIError, NotFound

from environment import images
from environment.compose import ROOT, Service
from environment.errors import LabError, PortBusy, RuntimeUnavailable
from environment.identity import Identity
from environment.images.engine import ANSWER_SECONDS, WORK_SECONDS, connect
from environment.images.recipe import LOCAL
from environment.runtimes import Launch
from environment.runtimes import docker_network as networks
from environment.runtimes.docker import DockerRuntime
from environment.runtimes.docker_network import RANGES, SessionNetwork, free_subnet
from environment.runtimes.docker_removal import sweep_docker
from environment.supervisor.ports import PortBlock
from environment.waiting import wait_until
from tests.environment.fake_engines import Relay

pytestmark = [pytest.mark.docker, pytest.mark.timeout(120)]

SERVER = """
import http.server, os, signal, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["GREETING"].encode())
if os.environ["ON_TERM"] == "end":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("serving", os.environ["GREETING"], flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Answer).serve_forever()
"""


def service(name: str = "web", **words: Any) -> Service:
    """A stand-in for a service, confined as docker-compose.yml confines ours."""
    settings = {"GREETING": f"hello from {name}", "ON_TERM": "end", **words.pop("environment", {})}
    described = {
        "name": name,
        "image": LOCAL,
        "command": ["python", "-c", SERVER],
        "environment": settings,
        "ports": ["127.0.0.1::8000"],
        "volumes": [f"{name}-data:/data"],
        "tmpfs": ["/tmp"],
        "user": "10001:10001",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": "64m",
        "pids_limit": 32,
        "ulimits": {"nofile": 2048},
        "x-lab": {"ready": "http /"},
        **words,
    }
    return Service.model_validate(described)


def reserved(runtime: DockerRuntime, replica: int = 1) -> str:
    names = ["web"] if replica == 1 else []
    return f"http://{runtime.reserve(service(), replica, names=names)[8000].outside}"


class Bench:
    """Runtimes of made-up sessions, and containers of others; lists what is left of them."""

    def __init__(self, client: DockerClient, folder: Path) -> None:
        self.client, self._folder = client, folder
        self.runtimes: dict[str, DockerRuntime] = {}
        self._blocks: list[PortBlock] = []
        self.strangers: list[Any] = []

    def runtime(self, supervisor: Identity | None = None) -> tuple[str, DockerRuntime]:
        """A new session, with what the service `web` needs."""
        session = f"t{secrets.token_hex(4)}"
        (self._folder / session).mkdir()
        self._blocks.append(ports := PortBlock())
        made = DockerRuntime(session, self._folder / session, supervisor or Identity.own(), ports)
        self.runtimes[session] = made
        made.prepare([service()], lambda line: None)
        return session, made

    def started(self, replicas: int = 1, **words: Any) -> tuple[str, DockerRuntime]:
        """A new session with replicas of `web` that answer."""
        session, runtime = self.runtime(**words)
        for number in range(1, replicas + 1):
            self.start(runtime, number)
        return session, runtime

    def start(self, runtime: DockerRuntime, replica: int = 1, **settings: str) -> str:
        url = reserved(runtime, replica)
        runtime.start(Launch(service(environment=settings), replica))
        assert wait_until(lambda: answers(url), timeout=15), runtime.logs(f"web-{replica}", 20)
        return url

    def container(self, session: str, replica: int = 1) -> Any:
        return self.client.containers.get(f"lab-{session}-web-{replica}")

    def python(self, session: str, script: str, replica: int = 1) -> str:
        """What a script inside a replica writes."""
        code, said = self.container(session, replica).exec_run(["python", "-c", script])
        assert code == 0, said.decode()
        return str(said.decode()).strip()

    def left(self, session: str) -> list[str]:
        """By Compose's label, which every thing of a session carries, and by name."""
        wanted = {"label": f"com.docker.compose.project=lab-{session}"}
        named = {"name": f"lab-{session}"}
        api = self.client.api
        found = []
        for by in (wanted, named):
            found += [one["Names"][0] for one in api.containers(all=True, filters=by)]
            found += [one["Name"] for one in api.networks(filters=by)]
            found += [one["Name"] for one in api.volumes(filters=by)["Volumes"] or []]
        return sorted(set(found))

    def close(self) -> None:
        for runtime in self.runtimes.values():
            runtime.destroy()
        for block in self._blocks:
            block.close()
        for stranger in self.strangers:
            with suppress(APIError):
                stranger.remove(force=True) if hasattr(stranger, "kill") else stranger.remove()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def client() -> Iterator[DockerClient]:
    images.build(lambda line: None)
    client = connect()
    yield client
    client.close()


@pytest.fixture
def bench(client: DockerClient, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(client, tmp_path)
    yield bench
    bench.close()
    assert [bench.left(session) for session in bench.runtimes if bench.left(session)] == []


class Pair:
    """A session with two replicas of `web`, for tests that change neither."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.session, self.runtime = bench.started(replicas=2)


@pytest.fixture(scope="module")
def pair(client: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    bench = Bench(client, tmp_path_factory.mktemp("pair"))
    pair = Pair(bench)
    yield pair
    assert [pair.runtime.status(name).condition for name in ("web-1", "web-2")] == ["running"] * 2
    bench.close()
    assert bench.left(pair.session) == []


# -- confinement -----------------------------------------------------------------------------------------------------


def test_a_replica_is_confined_as_described(pair: Pair) -> None:
    bench, session = pair.bench, pair.session
    script = (
        "import json, os, pathlib\n"
        "def writable(path):\n"
        "    try:\n"
        "        pathlib.Path(path, 'probe').write_text('x'); return True\n"
        "    except OSError as error:\n"
        "        return error.strerror\n"
        "status = dict(l.split(':\\t', 1) for l in open('/proc/1/status').read().splitlines() if ':\\t' in l)\n"
        "print(json.dumps({'ids': [os.getuid(), os.getgid(), os.getgroups()],\n"
        "  'root': writable('/'), 'app': writable('/app'), 'tmp': writable('/tmp'), 'data': writable('/data'),\n"
        "  'caps': {status[n].strip() for n in ('CapEff', 'CapPrm', 'CapBnd', 'CapInh')}.pop(),\n"
        "  'new privileges': status['NoNewPrivs']}))"
    )
    assert json.loads(bench.python(session, script)) == {
        "ids": [10001, 10001, [10001]],
        "root": "Read-only file system",
        "app": "Read-only file system",
        "tmp": True,
        "data": True,
        "caps": "0000000000000000",
        "new privileges": "1",
    }
    limits = bench.container(session).attrs["HostConfig"]
    assert (limits["Memory"], limits["PidsLimit"]) == (64 * 2**20, 32)
    assert limits["Ulimits"] == [{"Name": "nofile", "Soft": 2048, "Hard": 2048}]
    assert limits["RestartPolicy"]["Name"] in ("", "no")
    assert not limits["Privileged"]
    assert "Health" not in bench.container(session).attrs["State"]


def test_a_replica_cannot_use_more_processes_than_described(pair: Pair) -> None:
    bench, session = pair.bench, pair.session
    script = (
        "import subprocess\n"
        "running = []\n"
        "try:\n"
        "    for _ in range(60): running.append(subprocess.Popen(['sleep', '9']))\n"
        "except OSError: print('refused after', len(running) < 32)\n"
        "for one in running: one.kill()"
    )
    assert bench.python(session, script) == "refused after True"


def test_a_replica_listens_on_loopback_only(pair: Pair) -> None:
    bench, session, runtime = pair.bench, pair.session, pair.runtime
    url = httpx.URL(reserved(runtime))
    assert url.host == "127.0.0.1"
    bindings = bench.container(session).attrs["NetworkSettings"]["Ports"]
    assert bindings == {"8000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(url.port)}]}
    listening = {
        one.laddr.ip
        for one in psutil.net_connections("tcp")
        if one.status == psutil.CONN_LISTEN and one.laddr.port == url.port
    }
    assert listening <= {"127.0.0.1"}
    for address in _own_addresses():
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((address, url.port), timeout=1)


def _own_addresses() -> list[str]:
    """This machine's addresses but for loopback."""
    families = [one for many in psutil.net_if_addrs().values() for one in many]
    return [
        one.address
        for one in families
        if one.family == socket.AF_INET and not IPv4Address(one.address).is_loopback
    ]


# -- addresses -------------------------------------------------------------------------------------------------------


def test_addresses_survive_kill_and_stop_even_when_others_start_meanwhile(bench: Bench) -> None:
    session, runtime = bench.started(replicas=2)

    def place(replica: int) -> tuple[str, str]:
        settings = bench.container(session, replica).attrs["NetworkSettings"]
        (network,) = settings["Networks"].values()
        return network["IPAddress"], settings["Ports"]["8000/tcp"][0]["HostPort"]

    before = place(1), place(2)
    runtime.kill("web-1")
    runtime.stop("web-2", 5)
    bench.start(runtime, 3)
    bench.start(runtime, 2)
    bench.start(runtime, 1)
    assert (place(1), place(2)) == before
    subnet = bench.client.networks.get(f"lab-{session}_default").attrs["IPAM"]["Config"][0][
        "Subnet"
    ]
    assert IPv4Network(subnet).prefixlen == 26
    assert all(IPv4Address(place(number)[0]) in IPv4Network(subnet) for number in (1, 2, 3))


def test_replicas_resolve_each_other_by_id_and_by_name(pair: Pair) -> None:
    bench, session = pair.bench, pair.session
    script = (
        "import socket\n"
        "one, two, web = (socket.gethostbyname(n) for n in ('web-1', 'web-2', 'web'))\n"
        "print(one == web, one != two, socket.gethostname())"
    )
    assert bench.python(session, script, replica=2) == "True True web-2"


def test_an_address_comes_free_when_its_replica_is_removed(pair: Pair) -> None:
    runtime = pair.runtime
    for number in range(3, 70):  # more than a /26 has
        runtime.reserve(service(), number)
        runtime.remove(f"web-{number}")
    assert runtime.status("web-69").condition == "absent"
    assert runtime.status("web-1").condition == "running"


def test_sessions_that_begin_together_never_share_a_subnet(bench: Bench) -> None:
    sessions: list[str] = []
    threads = [
        threading.Thread(target=lambda: sessions.append(bench.runtime()[0])) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    subnets = [
        IPv4Network(
            bench.client.networks.get(f"lab-{one}_default").attrs["IPAM"]["Config"][0]["Subnet"]
        )
        for one in sessions
    ]
    assert len(subnets) == 5
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)


def test_a_subnet_is_private_and_overlaps_nothing_that_is_used() -> None:
    used = [*RANGES[:2], IPv4Network("192.168.192.0/19"), IPv4Network("192.168.224.0/20")]
    for _ in range(20):
        subnet = free_subnet(used)
        assert subnet.subnet_of(IPv4Network("192.168.240.0/20"))
    with pytest.raises(LabError, match="docker network prune"):
        free_subnet(list(RANGES))


def test_a_subnet_taken_by_another_session_is_no_trouble(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = bench.runtime()
    taken = bench.client.networks.get(f"lab-{session}_default").attrs["IPAM"]["Config"][0]["Subnet"]
    offers = [IPv4Network(taken), IPv4Network(taken)]
    real = networks.free_subnet
    monkeypatch.setattr(
        networks, "free_subnet", lambda used: offers.pop() if offers else real(used)
    )
    other = SessionNetwork(bench.client, f"stranger-{session}", {})
    bench.strangers.append(bench.client.networks.get(other.name))
    assert not offers
    assert not other.subnet.overlaps(IPv4Network(taken))


# -- lives -----------------------------------------------------------------------------------------------------------


def test_a_restarted_replica_has_new_settings_old_data_and_logs(
    bench: Bench,
) -> None:
    session, runtime = bench.runtime()
    bench.start(runtime, GREETING="first life")
    bench.python(session, "open('/data/kept', 'w').write('x')")
    before = runtime.status("web-1")
    runtime.kill("web-1")
    url = bench.start(runtime, GREETING="second life")
    assert httpx.get(url).text == "second life"
    assert bench.python(session, "print(open('/data/kept').read())") == "x"
    assert runtime.status("web-1").container != before.container
    log = runtime.logs("web-1", 1000)
    assert log.index("serving first life") < log.index("serving second life")
    assert runtime.logs("web-1", 1).count("\n") == 0


def test_replicas_share_their_service_s_volume(pair: Pair) -> None:
    bench, session = pair.bench, pair.session
    bench.python(session, "open('/data/shared', 'w').write('from one')", replica=1)
    assert bench.python(session, "print(open('/data/shared').read())", replica=2) == "from one"


def test_the_condition_shows_how_a_replica_ended(bench: Bench) -> None:
    _, runtime = bench.runtime()
    assert runtime.status("web-1").condition == "absent"
    runtime.reserve(service(), 1)
    assert runtime.status("web-1").condition == "absent"
    bench.start(runtime)
    assert (runtime.status("web-1").condition, runtime.status("web-1").exit_code) == (
        "running",
        None,
    )
    runtime.pause("web-1")
    assert runtime.status("web-1").condition == "paused"
    runtime.resume("web-1")
    assert runtime.status("web-1").condition == "running"
    runtime.kill("web-1")
    assert (runtime.status("web-1").condition, runtime.status("web-1").exit_code) == ("exited", -9)
    bench.start(runtime)
    runtime.stop("web-1", 5)
    assert (runtime.status("web-1").condition, runtime.status("web-1").exit_code) == ("exited", 0)
    runtime.remove("web-1")
    assert runtime.status("web-1").condition == "absent"


def test_a_replica_that_ignores_sigterm_is_killed_after_its_grace(bench: Bench) -> None:
    _, runtime = bench.runtime()
    bench.start(runtime, ON_TERM="go on")
    began = time.monotonic()
    runtime.stop("web-1", 1.0)
    assert 1.0 <= time.monotonic() - began < 4.0
    assert runtime.status("web-1").exit_code == -9


@pytest.mark.parametrize("verb", ["stop", "kill"])
def test_a_paused_replica_can_be_ended(bench: Bench, verb: str) -> None:
    _, runtime = bench.started()
    runtime.pause("web-1")
    runtime.stop("web-1", 5) if verb == "stop" else runtime.kill("web-1")
    assert runtime.status("web-1").exit_code == {"stop": 0, "kill": -9}[verb]


def test_ending_an_ended_replica_is_harmless_and_pausing_it_explained(bench: Bench) -> None:
    session, runtime = bench.started()
    runtime.kill("web-1")
    runtime.kill("web-1")
    runtime.stop("web-1", 1)
    with pytest.raises(LabError, match=r"web-1 does not run.*lab restart"):
        runtime.pause("web-1")
    bench.container(session).remove()  # by hand, as a curious student would
    runtime.kill("web-1")
    runtime.stop("web-1", 1)
    assert runtime.status("web-1").condition == "absent"
    assert runtime.usage("web-1").memory == 0
    assert "serving" not in runtime.logs("web-1", 10)
    assert answers(bench.start(runtime))
    runtime.remove("web-1")
    runtime.remove("web-1")


def test_a_replica_without_an_address_cannot_be_started(bench: Bench) -> None:
    _, runtime = bench.runtime()
    with pytest.raises(LabError, match="No address was reserved for web-7"):
        runtime.start(Launch(service(), 7))


def test_usage_is_measured_at_once_and_counts_children(bench: Bench) -> None:
    session, runtime = bench.started()
    began = time.monotonic()
    idle = runtime.usage("web-1")
    assert time.monotonic() - began < 0.5
    assert 5e6 < idle.memory < 60e6
    bench.container(session).exec_run(["true"])
    bench.python(
        session,
        "import urllib.request as r\nfor _ in range(300): r.urlopen('http://web:8000').read()",
    )
    assert runtime.usage("web-1").cpu_seconds > idle.cpu_seconds
    runtime.pause("web-1")
    assert runtime.usage("web-1").memory > 0
    runtime.kill("web-1")
    assert runtime.usage("web-1") == type(idle)(0, 0.0)


def test_usage_comes_from_the_engine_when_containers_are_elsewhere(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = pair.runtime
    here = runtime.usage("web-1")
    monkeypatch.setattr("environment.runtimes.docker.usage_here", lambda container: None)
    there = runtime.usage("web-1")
    assert there.memory == pytest.approx(here.memory, rel=0.8)
    assert there.cpu_seconds == pytest.approx(here.cpu_seconds, abs=0.5)


def test_a_busy_port_is_explained_and_leaves_no_container(bench: Bench) -> None:
    session, runtime = bench.runtime()
    url = reserved(runtime)
    port = httpx.URL(url).port
    with socket.create_server(("127.0.0.1", int(port or 0))):
        with pytest.raises(
            PortBusy, match=f"port {port} on 127.0.0.1 is held by .*pid {os.getpid()}"
        ):
            runtime.start(Launch(service(), 1))
        assert runtime.status("web-1").condition == "absent"
        with pytest.raises(NotFound):
            bench.container(session)
    assert answers(bench.start(runtime))


def test_an_image_without_a_source_is_explained(bench: Bench) -> None:
    _, runtime = bench.runtime()
    other = service("other", image="127.0.0.1:9/nobody/has:this")
    with pytest.raises(LabError, match=r"No registry gave us 127\.0\.0\.1:9/nobody/has:this"):
        runtime.prepare([other], lambda line: None)


# -- the end ---------------------------------------------------------------------------------------------------------


def stranger(bench: Bench, session: str, **words: Any) -> Any:
    """A container of another program, with a name much like ours."""
    made = bench.client.containers.run(
        LOCAL,
        ["sleep", "60"],
        name=f"labs-{session}-web-{secrets.token_hex(2)}",
        detach=True,
        **words,
    )
    bench.strangers.insert(0, made)
    return made


def test_the_end_of_a_session_touches_no_other(bench: Bench) -> None:
    session, runtime = bench.started(replicas=2)
    other, neighbour = bench.started()
    near = stranger(bench, session, network=f"lab-{session}_default")
    far = stranger(bench, session)
    volume = bench.client.volumes.create(f"labs-{session}-web-data")
    network = bench.client.networks.create(f"labs-{session}_default")
    bench.strangers += [volume, network]
    runtime.destroy()
    assert bench.left(session) == []
    assert answers(reserved(neighbour))
    for one in (near, far):
        one.reload()
        assert one.status == "running"
    volume.reload()
    network.reload()
    assert len(bench.left(other)) == 3


def test_the_end_of_a_session_is_quick_and_repeatable(bench: Bench) -> None:
    session, runtime = bench.started(replicas=3)
    began = time.monotonic()
    runtime.destroy()
    assert time.monotonic() - began < 8
    assert bench.left(session) == []
    runtime.destroy()


def test_things_that_are_gone_already_do_not_disturb_the_end(bench: Bench) -> None:
    session, runtime = bench.started(replicas=2)
    bench.container(session).remove(force=True)
    problems: list[BaseException] = []

    def end_it() -> None:
        try:
            runtime.destroy()
        except BaseException as error:
            problems.append(error)

    ends = [threading.Thread(target=end_it) for _ in range(3)]
    for end in ends:
        end.start()
    for end in ends:
        end.join()
    assert problems == []
    assert bench.left(session) == []


def test_a_start_under_way_does_not_escape_the_end(bench: Bench) -> None:
    session, runtime = bench.runtime()
    for number in range(1, 5):
        runtime.reserve(service(), number)
    outcomes: list[object] = []

    def start(number: int) -> None:
        try:
            outcomes.append(runtime.start(Launch(service(), number)))
        except LabError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
        time.sleep(0.1)
    runtime.destroy()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 4
    time.sleep(1)
    assert bench.left(session) == []
    with pytest.raises(LabError, match="This session is ending"):
        runtime.prepare([service()], lambda line: None)


def test_a_volume_made_by_docker_itself_is_removed_too(bench: Bench) -> None:
    session, runtime = bench.runtime()
    bench.client.volumes.get(f"lab-{session}-web-data").remove()
    bench.start(runtime)
    assert f"lab-{session}-web-data" in bench.left(session)
    runtime.destroy()
    assert bench.left(session) == []


def test_what_appears_after_a_supervisor_died_is_waited_for(bench: Bench) -> None:
    session, _ = bench.runtime()
    labels = bench.client.networks.get(f"lab-{session}_default").attrs["Labels"]
    successor = DockerRuntime(session, bench._folder / session, Identity.own(), bench._blocks[0])

    def late() -> None:
        time.sleep(1.5)
        bench.client.containers.create(
            LOCAL, ["sleep", "60"], name=f"lab-{session}-late", labels=labels
        )

    (thread := threading.Thread(target=late)).start()
    successor.destroy()
    thread.join()
    assert bench.left(session) == []


@pytest.fixture
def dead() -> Iterator[Identity]:
    """Of a supervisor these tests call dead; it lives, so that no other sweep on this machine comes first."""
    with subprocess.Popen(["sleep", "300"]) as supervisor:
        yield Identity.of(supervisor.pid)
        supervisor.kill()


def test_a_sweep_takes_what_dead_supervisors_left_and_nothing_else(
    bench: Bench, dead: Identity
) -> None:
    gone = lambda label: Identity.parse(label) == dead  # noqa: E731
    left, _ = bench.started(supervisor=dead)
    kept, _ = bench.started()
    foreign = bench.client.volumes.create(
        f"labs-{left}", labels={"lab.supervisor": str(dead), "lab.session": left, "lab.uid": "4711"}
    )
    bench.strangers.append(foreign)
    assert sweep_docker(bench.client, gone) == [left]
    foreign.reload()
    assert bench.left(left) == []
    assert len(bench.left(kept)) == 3
    assert sweep_docker(bench.client, gone) == []


def test_two_sweeps_at_the_same_time_are_harmless(bench: Bench, dead: Identity) -> None:
    sessions = [bench.started(supervisor=dead)[0] for _ in range(2)]
    problems: list[BaseException] = []

    def sweep() -> None:
        try:
            sweep_docker(connect(), lambda label: Identity.parse(label) == dead)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=sweep) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [bench.left(session) for session in sessions] == [[], []]


# -- Compose, and an engine that hangs ---------------------------------------------------------------------------------


@pytest.fixture(params=[ROOT, Path("/")], ids=["in the project", "elsewhere"])
def compose(request: pytest.FixtureRequest) -> Callable[..., str]:
    """`docker compose`, run in a folder with a compose file or in one without."""

    def run(session: str, *words: str) -> str:
        command = [
            shutil.which("docker-compose", path=ROOT / ".venv/bin") or "docker-compose",
            "-p",
            f"lab-{session}",
            *words,
        ]
        done = subprocess.run(
            command, cwd=request.param, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_compose_lists_and_removes_a_session(bench: Bench, compose: Callable[..., str]) -> None:
    session, runtime = bench.started(replicas=2)
    listed = [json.loads(line) for line in compose(session, "ps", "--format", "json").splitlines()]
    assert {(one["Name"], one["Service"], one["State"]) for one in listed} == {
        (f"lab-{session}-web-{number}", "web", "running") for number in (1, 2)
    }
    compose(session, "down", "--volumes", "--remove-orphans")
    assert bench.left(session) == []
    assert runtime.status("web-1").condition == "absent"


def test_compose_shows_the_logs_of_a_session(pair: Pair) -> None:
    session = pair.session
    done = subprocess.run(
        [str(ROOT / ".venv/bin/docker-compose"), "-p", f"lab-{session}", "logs"],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "web-1" in done.stdout
    assert "serving hello from web" in done.stdout


def test_an_engine_may_take_its_time_to_start_a_container(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    relay = Relay(tmp_path / "relay.sock")
    monkeypatch.setenv("DOCKER_HOST", relay.url)
    _session, runtime = bench.started()
    relay.freeze()
    busy = threading.Timer(ANSWER_SECONDS + 1, relay.thaw)
    busy.start()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(runtime.status, "web-1")
        runtime.start(Launch(service(), 1))
    asked.result()  # it waited, and is no error
    assert wait_until(lambda: runtime.status("web-1").condition == "running", timeout=10)
    busy.join()
    runtime.destroy()
    relay.close()


def test_an_engine_that_stops_answering_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    relay = Relay(tmp_path / "relay.sock")
    monkeypatch.setenv("DOCKER_HOST", relay.url)
    session, runtime = bench.started()
    relay.freeze()
    assert runtime._client.api.timeout == WORK_SECONDS
    runtime._client.api.timeout = 2  # what is left to show is that these verbs keep to it
    deeds = (
        lambda: runtime.status("web-1"),
        lambda: runtime.stop("web-1", 30),
        lambda: runtime.start(Launch(service(), 1)),
    )

    def is_given_up(deed: Callable[[], object]) -> None:
        began = time.monotonic()
        with pytest.raises(RuntimeUnavailable, match=r"stopped answering.*Restart Docker"):
            deed()
        assert time.monotonic() - began < 10

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(is_given_up, deed) for deed in deeds]:
            done.result()
    is_given_up(runtime.destroy)
    relay.thaw()
    time.sleep(0.5)
    runtime.destroy()
    assert bench.left(session) == []
    relay.close()
