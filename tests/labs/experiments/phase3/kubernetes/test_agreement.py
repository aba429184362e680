"""Manifests against docker-compose.yml: they agree, and no single slip goes unnoticed."""

import copy
import os
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from environment.compose import Description, Service, read_description
from environment.errors import DescriptionError
from environment.phases import read_phase
from labs.experiments.phase3.kubernetes import (
    BASE,
    KAFKA,
    LAPTOP,
    Cluster,
    Manifest,
    disagreements,
    read_manifests,
)
from labs.experiments.phase3.kubernetes.agreement import SECRETS
from labs.experiments.phase3.kubernetes.pod import PING
from microservices.kit.settings import HIDDEN

MANIFESTS = read_manifests(BASE)
DESCRIPTION = read_description(variables=read_phase("phase2"))
PORTS = ("containerPort", "port", "targetPort", "number")
"""Where a manifest repeats a port of docker-compose.yml; a nodePort is the cluster's own."""

Path = tuple[str | int, ...]


@pytest.mark.parametrize("folder", [BASE, LAPTOP], ids=["base", "laptop"])
def test_the_manifests_agree_with_phase_2(folder: Any) -> None:
    assert disagreements(read_manifests(folder), DESCRIPTION) == []


def test_kafka_stands_for_no_service_of_phase_2() -> None:
    found = disagreements([*MANIFESTS, *read_manifests(KAFKA)], DESCRIPTION)
    assert "StatefulSet/kafka stands for no service of docker-compose.yml" in found


def test_services_find_three_brokers_where_they_look_for_one() -> None:
    """There it is one broker, of an image of ours; here three, of the official one."""
    described = read_description(variables=read_phase("phase4")).services
    cluster = Cluster(read_manifests(KAFKA))
    inside = {
        f"{name}:{way[0]}" for name, it in cluster.of("Service").items() for way in cluster.ways(it)
    }
    assert described["kafka"].environment["INSIDE"] in inside
    assert read_phase("phase4")["KAFKA_BOOTSTRAP"] in inside
    assert all(number for it in cluster.of("Service").values() for _, _, number in cluster.ways(it))


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"+PONG\r\n", True),
        (b"-LOADING Valkey is loading the dataset in memory\r\n", False),
        (b"", False),
    ],
    ids=["answers", "loads", "hangs up"],
)
def test_the_probe_fails_for_a_valkey_that_only_accepts(answer: bytes, ready: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(_answer_once, server, answer)
        port = str(server.getsockname()[1])
        done = subprocess.run(PING, env={**os.environ, "PORT": port}, timeout=10)
        assert asked.result() == b"PING\n"
    assert (done.returncode == 0) is ready


def _answer_once(server: socket.socket, answer: bytes) -> bytes:
    connection, _ = server.accept()
    with connection:
        asked = connection.recv(100)
        connection.sendall(answer)
    return asked


def test_settings_that_services_hide_are_secrets_here() -> None:
    """VALKEY_URL could hold a password, and holds none here."""
    assert set(SECRETS) == HIDDEN - {"VALKEY_URL"}
    assert DESCRIPTION.services["api-gateway"].environment["VALKEY_URL"] == "valkey://valkey:6379"


def test_the_control_token_is_there_by_reference() -> None:
    for item in MANIFESTS:
        if item["kind"] == "Deployment":
            (container,) = item["spec"]["template"]["spec"]["containers"]
            variables = {variable["name"]: variable for variable in container["env"]}
            key = variables["CONTROL_TOKEN"]["valueFrom"]["secretKeyRef"]
            assert (key["name"], key["key"]) == ("tokens", "CONTROL_TOKEN")


def test_a_service_too_few_and_one_too_many_are_named() -> None:
    *fewer, last = DESCRIPTION.services.values()
    found = disagreements(MANIFESTS, with_services(*fewer))
    assert f"StatefulSet/{last.name} stands for no service of docker-compose.yml" in found
    more = last.model_copy(update={"name": "sidecar"})
    found = disagreements(MANIFESTS, with_services(*DESCRIPTION.services.values(), more))
    assert "sidecar has no Deployment or StatefulSet" in found


def with_services(*services: Service) -> Description:
    return DESCRIPTION.model_copy(update={"services": {item.name: item for item in services}})


def leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inside:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def changed(path: Path, value: Any) -> list[Manifest]:
    """The manifests with another value in one place."""
    manifests = copy.deepcopy(MANIFESTS)
    node: Any = manifests
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return manifests


def test_every_wrong_port_is_noticed() -> None:
    wrong = {
        path: value + 1 if isinstance(value, int) else f"{value}s"
        for path, value in leaves(MANIFESTS)
        if path[-1] in PORTS
    }
    assert len(wrong) >= 45
    assert [
        path for path, port in wrong.items() if not disagreements(changed(path, port), DESCRIPTION)
    ] == []


def place(kind: str, name: str) -> int:
    return next(
        number
        for number, item in enumerate(MANIFESTS)
        if (item["kind"], item["metadata"]["name"]) == (kind, name)
    )


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)
USERS = ("Deployment", "user-service")
GATEWAY = ("Deployment", "api-gateway")


@pytest.mark.parametrize(
    ("item", "path", "value", "expected"),
    [
        (USERS, (*CONTAINER, "image"), "microservices-lab/services:old", "image"),
        (USERS, (*CONTAINER, "args", 3), "2", "args"),
        (USERS, (*CONTAINER, "readinessProbe", "httpGet", "path"), "/health", "readiness"),
        (USERS, (*CONTAINER, "livenessProbe", "httpGet", "path"), "/ready", "liveness"),
        (USERS, (*CONTAINER, "readinessProbe", "periodSeconds"), 60, "period"),
        (USERS, (*CONTAINER, "startupProbe", "failureThreshold"), 1, "tries"),
        (USERS, (*CONTAINER, "resources", "limits", "memory"), "1Gi", "memory limit"),
        (USERS, (*CONTAINER, "securityContext", "readOnlyRootFilesystem"), False, "read-only"),
        (USERS, (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), True, "privileges"),
        (USERS, (*CONTAINER, "securityContext", "capabilities"), {}, "capabilities"),
        (USERS, (*POD, "securityContext", "runAsNonRoot"), False, "user"),
        (USERS, (*POD, "terminationGracePeriodSeconds"), 10, "grace period"),
        (USERS, (*CONTAINER, "volumeMounts", 0, "mountPath"), "/tmp/data", "volumes"),
        (USERS, (*CONTAINER, "volumeMounts"), [], "temporary folders"),
        (USERS, (*CONTAINER, "envFrom"), [], "environment"),
        (USERS, (*CONTAINER, "envFrom", 0, "configMapRef", "name"), "other", "not there"),
        (USERS, (*CONTAINER, "env", 0, "value"), "3002", "environment"),
        (GATEWAY, (*CONTAINER, "env", 1), {"name": "CONTROL_TOKEN", "value": "abc"}, "abc"),
        (GATEWAY, (*CONTAINER, "env", 2), {"name": "AUTH_TOKEN", "value": "demo-token"}, "demo"),
        (("ConfigMap", "settings"), ("data", "FAULTS"), "on", "environment"),
        (("ConfigMap", "api-gateway-settings"), ("data", "USER_SERVICE_URL"), "http://users:3001", "users"),
        (("Secret", "tokens"), ("stringData",), {"CONTROL_TOKEN": "abc"}, "no secret"),
        (("Service", "user-service"), ("spec", "selector"), {"app.kubernetes.io/name": "users"}, "no Pods"),
        (("Service", "door-node-port"), ("spec", "selector"), {"app.kubernetes.io/name": "valkey"}, "no front door"),
        (("HorizontalPodAutoscaler", "api-gateway"), ("spec", "scaleTargetRef", "name"), "gateway", "not there"),
        (("PodDisruptionBudget", "api-gateway"), ("spec", "selector", "matchLabels"), {"app": "x"}, "no Pods"),
        (("StatefulSet", "valkey"), ("spec", "serviceName"), "cache", "no Service"),
        (("StatefulSet", "valkey"), (*CONTAINER, "readinessProbe", "exec", "command", 2), "true", "readiness"),
        (("NetworkPolicy", "valkey"), ("spec", "ingress"), [{}], "other namespaces may connect to valkey"),
        (("NetworkPolicy", "dns"), ("spec", "egress"), [{}], "may connect"),
        (("NetworkPolicy", "dns"), ("spec", "egress", 0, "ports", 0, "protocol"), "TCP", "DNS"),
        (("NetworkPolicy", "user-service"), ("spec", "ingress", 0, "from"), [], "other namespaces may connect to user"),
        (("NetworkPolicy", "user-service"), ("spec", "ingress", 0, "from", 1), {"podSelector": {}}, "controller"),
        (("NetworkPolicy", "api-gateway"), ("spec", "ingress", 0, "from"), [{"podSelector": {}}], "namespaces may not"),
    ],
)  # fmt: skip
def test_a_slip_is_noticed_and_named(
    item: tuple[str, str], path: Path, value: Any, expected: str
) -> None:
    found = disagreements(changed((place(*item), *path), value), DESCRIPTION)
    assert any(expected in sentence for sentence in found), found


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (USERS, (*CONTAINER, "image")),
        (USERS, (*POD, "volumes", 0, "name")),
        (("Service", "user-service"), ("spec", "ports", 0, "port")),
        (("Ingress", "nginx"), ("spec", "rules", 0, "http", "paths", 0, "backend")),
        (("NetworkPolicy", "valkey"), ("spec", "policyTypes")),
    ],
)
def test_a_missing_field_is_named(item: tuple[str, str], path: Path) -> None:
    manifests = copy.deepcopy(MANIFESTS)
    node: Any = manifests[place(*item)]
    for key in path[:-1]:
        node = node[key]
    del node[path[-1]]
    with pytest.raises(DescriptionError, match=f"lacks something.*{path[-1]}"):
        disagreements(manifests, DESCRIPTION)
