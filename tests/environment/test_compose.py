"""Our reading of docker-compose.yml is Compose's own, and what we do not read is an error."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from environment import Environment
from environment.compose import COMPOSE_FILE, Service, interpolate, read_description
from environment.errors import DescriptionError, LabError, UnknownName
from environment.passwords import password_file, with_password
from environment.phases import FOLDER, phase_names, read_phase
from environment.specification import DatabaseName, Specification

COMPOSE = Path(sys.executable).parent / "docker-compose"


def composes_own(phase: str, **variables: str) -> dict[str, Any]:
    command = [
        COMPOSE,
        "-f",
        COMPOSE_FILE,
        "--env-file",
        FOLDER / f"{phase}.env",
        "config",
        "--format",
        "json",
    ]
    clean = {name: os.environ[name] for name in ("PATH", "HOME")} | variables
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean)
    assert said.returncode == 0, said.stderr
    config: dict[str, Any] = json.loads(said.stdout)
    return config


@pytest.mark.parametrize("database", get_args(DatabaseName))
@pytest.mark.parametrize("phase", phase_names())
def test_we_read_what_compose_reads(phase: str, database: str) -> None:
    variables = Specification.checked(phase=phase, database=database).variables()
    chosen = {name: variables[name] for name in set(variables) - set(read_phase(phase))}
    profiles = {"COMPOSE_PROFILES": variables["COMPOSE_PROFILES"]}
    theirs, ours = composes_own(phase, **chosen, **profiles), read_description(variables=variables)
    assert ("postgres" in ours.services) is (database == "postgresql")
    assert set(theirs["services"]) == set(ours.services)
    assert set(theirs["volumes"]) == set(ours.volumes)
    for name, service in theirs["services"].items():
        assert ours_as_theirs(ours.services[name]) == service


def test_the_kafka_ui_of_others_only_reads_under_compose() -> None:
    profiles = read_phase("phase4")["COMPOSE_PROFILES"]
    theirs = composes_own("phase4", COMPOSE_PROFILES=f"{profiles},kafka-ui")["services"]
    assert set(theirs) - set(composes_own("phase4")["services"]) == {"kafka-ui"}
    ui = theirs["kafka-ui"]
    assert ui["environment"]["KAFKA_CLUSTERS_0_READONLY"] == "true"
    assert (
        ui["environment"]["KAFKA_CLUSTERS_0_BOOTSTRAPSERVERS"]
        == theirs["kafka"]["environment"]["INSIDE"]
    )
    assert [port["host_ip"] for port in ui["ports"]] == ["127.0.0.1"]
    assert set(ui["depends_on"]) == {"kafka"}
    assert re.fullmatch(r"[^:]+:v[0-9.]+", ui["image"]), "a version, which stays what it is"
    for phase in phase_names():
        assert "kafka-ui" not in read_description(variables=read_phase(phase)).services


def ours_as_theirs(ours: Service) -> dict[str, Any]:
    """Our reading in the form in which Compose prints its own."""
    health = ours.healthcheck
    assert health
    # What a service does not have, Compose leaves out.
    optional = {
        "profiles": list(ours.profiles),
        "volumes": volumes_as_theirs(ours),
        "stop_signal": "" if ours.stop_signal == "SIGTERM" else ours.stop_signal,
    }
    return {name: value for name, value in optional.items() if value} | {
        "image": ours.image,
        "command": list(ours.command),
        "entrypoint": None,
        "environment": ours.environment,
        "ports": [
            {"mode": "ingress", "host_ip": "127.0.0.1", "target": port, "protocol": "tcp"}
            for port in ours.ports
        ],
        "healthcheck": {
            "test": list(health.test),
            "interval": f"{health.interval:.0f}s",
            "timeout": f"{health.timeout:.0f}s",
            "retries": health.retries,
        },
        "tmpfs": list(ours.tmpfs),
        "user": ours.user,
        "read_only": ours.read_only,
        "cap_drop": list(ours.cap_drop),
        "security_opt": list(ours.security_opt),
        "mem_limit": str(ours.mem_limit),
        "pids_limit": ours.pids_limit,
        "ulimits": ours.ulimits,
        "stop_grace_period": f"{ours.stop_grace_period:.0f}s",
        "networks": {"default": None},
    }


def volumes_as_theirs(ours: Service) -> list[dict[str, Any]]:
    return [
        {"type": "volume", "source": name, "target": path, "volume": {}}
        for name, path in ours.volumes
    ]


def test_each_service_with_data_has_its_database() -> None:
    variables = Specification.checked(phase="phase5", database="postgresql").variables()
    services = read_description(variables=variables).services
    with_data = {n for n, s in services.items() if s.speaks_http and s.volumes}
    assert set(services["postgres"].environment["DATABASES"].split()) == with_data
    for name in with_data:
        assert services[name].environment["DATABASE_URL"] == "postgresql://postgres:5432"


def test_an_unknown_database_lists_those_there_are() -> None:
    with pytest.raises(LabError, match=r"database: Input should be 'sqlite' or 'postgresql'"):
        Specification.checked(phase="phase5", database="mysql")


def test_a_choice_of_services_includes_their_database() -> None:
    env = Environment("phase5", only=["order-service"], database="postgresql")
    assert env.services == ["order-service", "postgres"]
    assert Environment("phase5", only=["order-service"]).services == ["order-service"]


def test_the_session_gives_its_password_to_its_own_stores_only() -> None:
    assert with_password("postgresql://postgres:5432", "pw") == "postgresql://:pw@postgres:5432"
    assert with_password("valkey://valkey:6379", "pw") == "valkey://:pw@valkey:6379"
    for other in ("postgresql://db:5432", "postgresql://ada:x@postgres:5432/shop", "valkey://v:1"):
        assert with_password(other, "pw") == other
    assert password_file("kafka", "pw") == {}


def described(tmp_path: Path, **changes: Any) -> Path:
    content = yaml.safe_load(COMPOSE_FILE.read_text())
    content["services"]["user-service"].update(changes)
    path = tmp_path / "docker-compose.yml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"restart": "always"}, "services.user-service.restart is not in the subset"),
        ({"ports": ["3001:3001"]}, "127.0.0.1::PORT"),
        ({"ports": ["0.0.0.0::3001"]}, "127.0.0.1::PORT"),
        ({"ports": ["127.0.0.1::3001", "127.0.0.1::3009"]}, "exactly one port"),
        ({"volumes": ["./data:/data"]}, "named volumes only"),
        ({"volumes": ["nowhere:/data"]}, "undeclared"),
        ({"environment": {"SEED": 7}}, "services.user-service.environment.SEED"),
        ({"depends_on": ["order-service"]}, "services.user-service.depends_on"),
        ({"depends_on": {"x": {"condition": "service_started", "required": False}}}, "unknown"),
        ({"mem_limit": "lots"}, "not a size"),
        ({"ulimits": {"nproc": 10}}, "services.user-service.ulimits.nproc"),
        ({"stop_grace_period": "a while"}, "not a duration"),
        ({"stop_signal": "SIGKILL"}, "services.user-service.stop_signal"),
        ({"x-lab": {"ready": "soon"}}, "services.user-service.x-lab.ready"),
        ({"command": ["echo", "$HOME"]}, "write ${NAME}"),
        ({"image": "${NOT_SET}"}, "NOT_SET is not set"),
        ({"privileged": True}, "services.user-service.privileged is not in the subset"),
    ],
)
def test_an_unsupported_key_is_an_error_that_names_its_place(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(DescriptionError) as raised:
        read_description(described(tmp_path, **change))
    assert said in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "services: [", "- a", "services: 3", "services: {a: 3}", "\x00"]
)
def test_what_is_no_description_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "broken.yml").write_text(text)
    with pytest.raises(DescriptionError, match=r"broken\.yml"):
        read_description(tmp_path / "broken.yml")


def test_a_service_of_another_profile_is_left_out(tmp_path: Path) -> None:
    path = described(tmp_path, profiles=["later"])
    assert "user-service" not in read_description(path).services
    assert (
        "user-service" in read_description(path, variables={"COMPOSE_PROFILES": "x,later"}).services
    )


def test_variables_are_filled_in_as_compose_does() -> None:
    variables = {"A": "1", "EMPTY": ""}
    assert interpolate("${A} ${B:-2} ${EMPTY:-3} $$A", variables) == "1 2 3 $A"


def test_an_unknown_phase_lists_the_phases() -> None:
    with pytest.raises(UnknownName, match="phase0"):
        read_phase("phase99")
