"""nginx's configuration: readable, valid, and the same for Compose as for `lab`."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from environment.compose import read_description
from environment.errors import LabError
from environment.nginx import (
    ALGORITHMS,
    COMPOSE_CONF,
    EXAMPLES,
    PROXY,
    Algorithm,
    Balance,
    Upstream,
    render,
    render_compose,
    render_example,
)
from environment.nginx.access_log import read_access_log
from environment.phases import phase_names, read_phase
from environment.runtimes.programs import program
from environment.specification import Specification
from environment.supervisor.plan import Plan


def has_nginx(phase: str) -> bool:
    return PROXY in read_description(variables=read_phase(phase)).services


def checked_by_nginx(folder: Path, text: str) -> str:
    """The output of `nginx -t` for a configuration."""
    (folder / "nginx.conf").write_text(text)
    command = [program("nginx"), "-t", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf"]
    return subprocess.run(command, capture_output=True, text=True, timeout=10).stderr


def upstream(
    balance: Balance, addresses: Sequence[str] = ("127.0.0.1:1", "127.0.0.1:2")
) -> Upstream:
    servers = [balance.server(n, address) for n, address in enumerate(addresses, start=1)]
    return Upstream("user-service", "127.0.0.1:3001", servers, balance)


def test_the_file_for_compose_is_what_the_template_gives() -> None:
    ports: dict[str, tuple[int, int]] = {}
    for phase in phase_names():
        plan = Plan(Specification.checked(phase=phase), token="")
        ports |= {name: (port, plan.services[name].port) for name, port in plan.fronted().items()}
    assert COMPOSE_CONF.read_text() == render_compose(ports)


@pytest.mark.parametrize("phase", [phase for phase in phase_names() if has_nginx(phase)])
def test_nginx_listens_on_every_port_that_compose_publishes(phase: str) -> None:
    published = read_description(variables=read_phase(phase)).services[PROXY].ports
    listening = re.findall(r"^ +listen (\d+);", COMPOSE_CONF.read_text(), re.MULTILINE)
    assert set(map(int, listening)) == set(published)


def test_nginx_takes_the_file_for_compose(tmp_path: Path) -> None:
    assert "test is successful" in checked_by_nginx(tmp_path, COMPOSE_CONF.read_text())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_example_of_each_algorithm_is_rendered_and_valid(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    text = (EXAMPLES / f"{algorithm}.conf").read_text()
    assert text == render_example(algorithm)
    assert "test is successful" in checked_by_nginx(tmp_path, text)


def test_every_file_among_the_examples_is_an_algorithm() -> None:
    assert {path.stem for path in EXAMPLES.iterdir()} == set(ALGORITHMS)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nginx_takes_every_algorithm_with_every_option(
    tmp_path: Path, algorithm: Algorithm
) -> None:
    balance = Balance(algorithm, weights=(3, 1), max_fails=0, fail_timeout=5, forwarded=True)
    text = render([upstream(balance)], source="127.0.0.2", user="root")
    assert "test is successful" in checked_by_nginx(tmp_path, text)
    assert "server 127.0.0.1:1 max_fails=0 fail_timeout=5s weight=3;" in text


def test_a_read_timeout_of_its_own_is_its_services_alone(tmp_path: Path) -> None:
    text = render([upstream(Balance(read_timeout=1))])
    assert "test is successful" in checked_by_nginx(tmp_path, text)
    assert text.index("server_name") < text.index("proxy_read_timeout 1s;")
    assert render([upstream(Balance())]).count("proxy_read_timeout") == 1


def test_a_replica_marked_down_keeps_its_place() -> None:
    assert Balance().server(1, "127.0.0.1:1", down=True).endswith(" down")


def test_a_replica_of_weight_0_stands_by_and_gets_nothing(tmp_path: Path) -> None:
    balance = Balance(weights=(1, 0))
    first, second = upstream(balance).servers
    assert (first.endswith(" down"), second.endswith(" down")) == (False, True)
    assert "test is successful" in checked_by_nginx(tmp_path, render([upstream(balance)]))


@pytest.mark.parametrize("algorithm", ["round_robin", "least_conn"])
def test_nginx_takes_a_backup(tmp_path: Path, algorithm: Algorithm) -> None:
    text = render([upstream(Balance(algorithm, backup=(2,)))])
    assert text.count(" backup;") == 1
    assert "test is successful" in checked_by_nginx(tmp_path, text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"algorithm": "ip_hash", "backup": (2,)}, "with round_robin and least_conn only"),
        ({"algorithm": "rond_robin"}, "There are: round_robin, least_conn"),
        ({"weights": (-1, 1)}, "0 or more"),
        ({"max_fails": -1}, "0 or more"),
        ({"fail_timeout": 0.5}, "whole number of seconds"),
    ],
)
def test_a_wrong_word_is_an_error_that_explains(words: dict[str, object], message: str) -> None:
    with pytest.raises(LabError, match=message):
        Balance(**words)  # type: ignore[arg-type]


def test_the_front_door_and_each_service_have_a_front() -> None:
    plan = Plan(Specification.checked(phase="phase2"), token="")
    fronts = {"api-gateway": 80, "user-service": 3001, "order-service": 3002}
    assert plan.fronted() == {**fronts, "payment-service": 3003}
    events = Plan(Specification.checked(phase="phase5"), token="")
    described = read_description(variables=read_phase("phase5")).services["nginx"]
    assert set(events.fronted().values()) == set(described.ports), (
        "no port of nginx stands for nobody"
    )


def test_without_a_gateway_nginx_is_reached_at_its_first_front() -> None:
    whole = Plan(Specification.checked(phase="phase3"), token="")
    assert whole.entrance("nginx") == 80
    only = ("nginx", "order-service", "user-service")
    part = Plan(Specification.checked(phase="phase3", only=only), token="")
    assert part.entrance("nginx") == 3001
    assert part.entrance("user-service") == 3001


def test_fixed_ports_are_those_of_the_fronts() -> None:
    plan = Plan(Specification.checked(phase="phase2", fixed_ports=True), token="")
    assert plan.fixed_ports("nginx", 1) == {80: 8000, 3001: 3001, 3002: 3002, 3003: 3003}
    assert plan.fixed_ports("user-service", 1) == plan.fixed_ports("valkey", 1) == {}
    alone = Plan(Specification.checked(phase="phase1", fixed_ports=True), token="")
    assert alone.fixed_ports("api-gateway", 1) == {3000: 8000}
    assert alone.fixed_ports("user-service", 1) == {3001: 3001}
    assert alone.fixed_ports("user-service", 2) == {}


LINE = (
    '{{"time":1.5,"service":"user-service","client":"127.0.0.1","method":"GET","path":"/users",'
    '"status":"{status}","seconds":0.25,"attempts":"{attempts}","correlation_id":"click-7"}}\n'
)


def test_the_access_log_names_the_replicas_that_were_asked() -> None:
    lines = LINE.format(status=200, attempts="10.0.0.2:3001, 10.0.0.3:3001")
    lines += LINE.format(status=502, attempts="user-service") + '{"time":2.0,"serv'
    known = {"10.0.0.2:3001": "user-service-1", "10.0.0.3:3001": "user-service-2"}
    frame = read_access_log(lines, known)
    assert frame["attempts"].tolist() == [["user-service-1", "user-service-2"], []]
    assert frame["replica"].tolist() == ["user-service-2", None]
    assert frame["status"].tolist() == [200, 502]
    assert frame["correlation_id"].tolist() == ["click-7", "click-7"]


def test_an_empty_access_log_is_an_empty_table() -> None:
    frame = read_access_log("", {})
    assert frame.empty
    assert {"replica", "attempts", "status"} <= set(frame)
