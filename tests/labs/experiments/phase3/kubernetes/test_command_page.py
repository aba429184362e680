"""The commands of "Looking into Kubernetes": what can be checked of them without a cluster."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from environment.compose import ROOT
from labs.experiments.phase3.kubernetes import (
    BASE,
    KAFKA,
    LAPTOP,
    Cluster,
    Manifest,
    read_manifests,
)
from labs.experiments.phase3.kubernetes.selectors import has_labels

PAGE = ROOT / "handbook" / "phase3_kubernetes_commands.md"

FLAGS = {
    "kustomize build": "",
    "apply": "kustomize= server-side dry-run= prune",
    "cordon": "selector= dry-run=",
    "delete": "kustomize= selector= all wait= timeout= grace-period=",
    "describe": "selector= show-events=",
    "diff": "kustomize= server-side prune",
    "drain": "selector= pod-selector= ignore-daemonsets delete-emptydir-data timeout=",
    "events": "for= types= watch output=",
    "exec": "container= stdin tty quiet",
    "get": "selector= output= watch field-selector= show-labels sort-by= all-namespaces",
    "kustomize": "output=",
    "logs": "selector= container= prefix tail= since= follow previous timestamps all-containers",
    "patch": "patch= type= dry-run= output=",
    "port-forward": "address= pod-running-timeout=",
    "rollout history": "revision= output=",
    "rollout pause": "selector=",
    "rollout restart": "selector=",
    "rollout resume": "selector=",
    "rollout status": "timeout= watch= revision=",
    "rollout undo": "to-revision= dry-run=",
    "scale": "replicas= current-replicas= timeout= selector=",
    "set env": "containers= list overwrite= selector=",
    "set image": "dry-run= selector=",
    "set resources": "containers= requests= limits= selector=",
    "top pods": "selector= containers sort-by= sum",
    "uncordon": "selector= dry-run=",
    "wait": "for= timeout= all selector=",
}
"""Verbs, and flags of each in kubectl's reference; one with `=` has a value.

https://kubernetes.io/docs/reference/kubectl/generated/
"""

SHORT = {
    "-c": "container",
    "-k": "kustomize",
    "-l": "selector",
    "-n": "namespace",
    "-o": "output",
    "-p": "patch",
}

KINDS = {
    "configmap": "ConfigMap",
    "deployment": "Deployment",
    "endpointslice": "EndpointSlice",
    "hpa": "HorizontalPodAutoscaler",
    "namespace": "Namespace",
    "pod": "Pod",
    "pvc": "PersistentVolumeClaim",
    "service": "Service",
    "statefulset": "StatefulSet",
}
OF_NO_NAMESPACE = {"apply", "cordon", "diff", "drain", "kustomize", "kustomize build", "uncordon"}
"""Their objects are nodes, or name their namespace themselves."""


@dataclass(frozen=True)
class Command:
    verb: str
    flags: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    inner: str = ""
    """What `exec` runs in the container."""

    @property
    def kind(self) -> str:
        """The kind of the object or objects; Pod where kubectl expects nothing else."""
        if self.verb in ("exec", "logs", "port-forward", "top pods"):
            return self._kind(self.words[0]) if "/" in "".join(self.words) else "Pod"
        return self._kind(self.words[0]) if self.words else ""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of objects: `TYPE/NAME`, `TYPE NAME`, or a Pod's alone."""
        if not self.words:
            return ()
        if "/" in self.words[0]:
            return (self.words[0].partition("/")[2],)
        return self.words[:1] if self.verb in ("exec", "logs") else self.words[1:]

    @property
    def assignments(self) -> dict[str, str]:
        """What `set` assigns: `NAME=VALUE`."""
        pairs = [word.partition("=") for word in self.words[1:]]
        return {name: value for name, _, value in pairs}

    @staticmethod
    def _kind(word: str) -> str:
        alias = word.partition("/")[0]
        return KINDS.get(alias) or KINDS.get(alias.removesuffix("s"), alias)


def parse(line: str) -> Command:
    words = shlex.split(line)
    inner = ""
    if "--" in words:
        inner = " ".join(words[words.index("--") + 1 :])
        words = words[: words.index("--")]
    program, *words = words
    flags, plain = {}, []
    while words:
        word = words.pop(0)
        if word in SHORT:
            flags[SHORT[word]] = words.pop(0)
        elif word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            flags[name] = value if equals else "on"
        else:
            plain.append(word)
    if program == "kustomize":
        plain.insert(0, program)
    length = 2 if " ".join(plain[:2]) in FLAGS else 1
    verb, plain = " ".join(plain[:length]), plain[length:]
    if verb == "kustomize build":
        flags["kustomize"] = plain.pop()
    return Command(verb, flags, tuple(plain), inner)


@cache
def built() -> Cluster:
    """Return the objects of the page's cluster, and those of Kafka."""
    return Cluster([*read_manifests(LAPTOP), *read_manifests(KAFKA)])


def problems(line: str) -> list[str]:
    """Return what is wrong with a command, as sentences."""
    command, cluster = parse(line), built()
    if command.verb not in FLAGS:
        return [f"kubectl has no {command.verb}"]
    checks = (wrong_flags, wrong_folder, wrong_namespace, wrong_objects, wrong_selector)
    found = [problem for check in checks for problem in check(command, cluster)]
    if found:
        return found
    inside = (wrong_container, wrong_change, wrong_path, wrong_port)
    return [problem for check in inside for problem in check(command, cluster)]


def wrong_flags(command: Command, _: Cluster) -> Iterator[str]:
    allowed = {name.rstrip("="): name.endswith("=") for name in FLAGS[command.verb].split()}
    if command.verb == "kustomize build":
        allowed["kustomize"] = True  # the folder, which has no flag there
    for name, value in command.flags.items():
        if name != "namespace" and name not in allowed:
            yield f"{command.verb} has no flag {name}"
        elif allowed.get(name, True) == (value == "on"):
            yield f"{name} of {command.verb} with or without a value"


def wrong_folder(command: Command, _: Cluster) -> Iterator[str]:
    folder = command.flags.get("kustomize")
    if folder and not (ROOT / folder / "kustomization.yaml").is_file():
        yield f"no kustomization in {folder}"


def wrong_namespace(command: Command, cluster: Cluster) -> Iterator[str]:
    needs_none = command.verb in OF_NO_NAMESPACE or command.kind == "Namespace"
    namespace = command.flags.get("namespace")
    if namespace is None and not needs_none:
        yield "no namespace"
    if namespace is not None and namespace not in cluster.of("Namespace"):
        yield f"no namespace {namespace}"


def wrong_objects(command: Command, cluster: Cluster) -> Iterator[str]:
    if command.words and command.kind not in KINDS.values():
        yield f"no kind {command.kind}"
    existing = set(cluster.of(command.kind))
    if command.kind == "Pod":  # only those of a StatefulSet have names that a file can contain
        sets = cluster.of("StatefulSet")
        existing = {f"{name}-{n}" for name in sets for n in range(cluster.replicas(name))}
    first = command.names[:1] if command.verb.startswith(("set", "port-forward")) else command.names
    for name in first:
        if name not in existing:
            yield f"no {command.kind}/{name}"


def wrong_selector(command: Command, cluster: Cluster) -> Iterator[str]:
    selector = command.flags.get("selector")
    if selector is None:
        return
    key, _, value = selector.partition("=")
    if command.verb in ("cordon", "uncordon", "drain"):
        if selector not in topology_keys():
            yield f"no node label {selector}"
    elif command.kind == "EndpointSlice":  # labelled by their controller
        if key != "kubernetes.io/service-name" or value not in cluster.of("Service"):
            yield f"no EndpointSlice {selector}"
    elif not any(has_labels(cluster.pod(name).labels, {key: value}) for name in cluster.workloads):
        yield f"no Pod {selector}"


@cache
def topology_keys() -> set[str]:
    """Return the labels of nodes over which the base spreads its Pods; every node has them."""
    base = Cluster(read_manifests(BASE))
    spread = [base.pod(name).spec.get("topologySpreadConstraints", []) for name in base.workloads]
    return {constraint["topologyKey"] for constraints in spread for constraint in constraints}


def target(command: Command, cluster: Cluster) -> Manifest:
    (name,) = command.names[:1]
    if command.kind == "Pod":
        return cluster.workloads[name.rpartition("-")[0]]
    return cluster.of(command.kind)[name]


def wrong_container(command: Command, cluster: Cluster) -> Iterator[str]:
    name = command.flags.get("container") or command.flags.get("containers")
    if command.verb == "set image":
        (name,) = command.assignments
    if name is None:
        return
    container = cluster.pod(target(command, cluster)["metadata"]["name"]).container
    if name != container["name"]:
        yield f"no container {name}"
    elif command.verb == "set image":
        repository, _, tag = command.assignments[name].rpartition(":")
        if (repository, tag != "") != (container["image"].rpartition(":")[0], True):
            yield f"another image {repository}"


def wrong_change(command: Command, cluster: Cluster) -> Iterator[str]:
    """A change is of something that exists; its new value is free, and wrong on purpose in places."""
    if command.verb == "set env":
        variables = cluster.pod(command.names[0]).variables
        yield from (f"no variable {name}" for name in command.assignments if name not in variables)
    if command.verb == "set resources":
        resources = cluster.pod(command.names[0]).container["resources"]
        for each in ("requests", "limits"):
            name = command.flags.get(each, "").partition("=")[0]
            if name and name not in resources[each]:
                yield f"no {each}.{name}"
    if command.verb == "patch":
        patch = json.loads(command.flags["patch"])
        paths = [change["path"].strip("/").split("/") for change in patch if "path" in change]
        for path in paths or leaves(patch):
            yield from missing(target(command, cluster), path)


def leaves(patch: Any, *path: str) -> Iterator[list[str]]:
    if not isinstance(patch, dict):
        yield list(path)
        return
    for key, value in patch.items():
        yield from leaves(value, *path, key)


def missing(node: Any, path: list[str]) -> Iterator[str]:
    """Yield the path as a problem when it leads nowhere in an object."""
    try:
        for part in path:
            node = node[int(part) if isinstance(node, list) else part]
    except (LookupError, TypeError, ValueError):
        yield f"no path {'.'.join(path)}"


def wrong_path(command: Command, cluster: Cluster) -> Iterator[str]:
    output = command.flags.get("output", "yaml")
    if match := re.fullmatch(r"jsonpath=\{\.([\w.]+)\}", output):
        yield from missing(target(command, cluster), match[1].split("."))
    elif output not in ("json", "name", "wide", "yaml"):
        yield f"no output {output}"


def wrong_port(command: Command, cluster: Cluster) -> Iterator[str]:
    services = cluster.of("Service")
    called = re.findall(r"http://([\w-]+):(\d+)", command.inner)
    called += [(name, "") for name in re.findall(r"gethostbyname\('([\w-]+)'\)", command.inner)]
    if command.verb == "port-forward":
        called += [(command.names[0], word.rpartition(":")[2]) for word in command.words[1:]]
    for name, port in called:
        ports = [str(way[0]) for way in cluster.ways(services[name])] if name in services else []
        if not ports or port not in ("", *ports):
            yield f"no port {name}:{port}"


def lines_of_page() -> list[str]:
    blocks = re.findall(r"^```shell\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


LINES = list(dict.fromkeys(lines_of_page()))


def test_the_page_has_its_commands() -> None:
    assert len(LINES) >= 25
    assert {parse(line).verb for line in LINES} >= {
        *("kustomize build", "apply", "get", "describe", "logs", "events", "port-forward", "exec"),
        *("scale", "rollout undo", "rollout pause", "rollout history", "cordon", "delete", "diff"),
    }


@pytest.mark.parametrize("line", LINES)
def test_a_command_names_only_what_our_manifests_contain(line: str) -> None:
    assert problems(line) == []


OURS = "kubectl -n microservices-lab "


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (OURS + "watch pods", "kubectl has no watch"),
        (OURS + "get pods --colour", "get has no flag colour"),
        (OURS + "get pods --watch=", "watch of get with or without a value"),
        ("kubectl apply -k environment/kubernetes/overlays", "no kustomization in "),
        ("kustomize build environment/kubernetes/overlays/desk", "no kustomization in "),
        ("kubectl get pods", "no namespace"),
        ("kubectl -n lab get pods", "no namespace lab"),
        (OURS + "get lorries", "no kind lorries"),
        (OURS + "describe deployment gateway", "no Deployment/gateway"),
        (OURS + "rollout undo deployment/valkey", "no Deployment/valkey"),
        (OURS + "set env deployment/payment PORT=1", "no Deployment/payment"),
        (OURS + "delete pod valkey-1", "no Pod/valkey-1"),
        (OURS + "exec api-gateway -- ls", "no Pod/api-gateway"),
        ("kubectl delete namespace lab", "no Namespace/lab"),
        (OURS + "logs -l app.kubernetes.io/name=gateway", "no Pod app.kubernetes.io/name=gateway"),
        (OURS + "get pods -l app=api-gateway", "no Pod app=api-gateway"),
        (OURS + "get endpointslices -l kubernetes.io/service-name=users", "no EndpointSlice "),
        ("kubectl cordon -l disk=fast", "no node label disk=fast"),
        (OURS + "exec deployment/user-service -c api-gateway -- ls", "no container api-gateway"),
        (OURS + "set image deployment/user-service users=a:b", "no container users"),
        (OURS + "set image deployment/user-service user-service=nginx:1", "another image nginx"),
        (OURS + "set env deployment/user-service PROT=1", "no variable PROT"),
        (OURS + "set resources deployment/user-service --limits=cpu=1", "no limits.cpu"),
        (OURS + """patch hpa api-gateway -p '{"spec": {"min": 3}}'""", "no path spec.min"),
        (
            OURS
            + """patch service user-service --type=json -p '[{"op": "replace", "path": "/spec/x", "value": 1}]'""",
            "no path spec.x",
        ),
        (OURS + "get service valkey -o jsonpath='{.spec.labels}'", "no path spec.labels"),
        (OURS + "get service valkey -o xml", "no output xml"),
        (OURS + "port-forward service/api-gateway 8080:80", "no port api-gateway:80"),
        (OURS + "exec valkey-0 -- curl http://user-service:3000", "no port user-service:3000"),
    ],
)
def test_a_wrong_command_is_found(line: str, problem: str) -> None:
    assert [found.startswith(problem) for found in problems(line)] == [True], problems(line)


def test_the_policies_forbid_the_connection_that_must_fail() -> None:
    calls = [command for command in map(parse, LINES) if "http://" in command.inner]
    for command in calls:
        (match,) = re.findall(r"http://([\w-]+):(\d+)", command.inner)
        assert built().finds_names(command.names[0])
        assert not built().may_talk(command.names[0], match[0], int(match[1]))
    assert len(calls) == 1


def test_the_log_line_on_the_page_is_the_services_own() -> None:
    (command,) = [command for command in map(parse, LINES) if command.verb == "set env"]
    pod = built().pod(command.names[0])
    _, *arguments = pod.container["args"]
    ended = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **command.assignments},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert f"      {ended.stderr.strip()}\n" in PAGE.read_text("utf-8")


@pytest.fixture(scope="module")
def kubectl() -> str:
    path = shutil.which("kubectl")
    if path is None:
        pytest.skip("kubectl is not installed")
    version = subprocess.run([path, "version", "--client"], capture_output=True, text=True)
    if "Kustomize Version: v5" not in version.stdout:
        pytest.skip("this kubectl is older than the page")
    return path


def without_a_server(kubectl: str, line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with an address at which no server listens, and without the user's configuration.

    kubectl checks every flag before it connects, and the number of arguments for most verbs.
    """
    program, *words = shlex.split(line)
    if program == "kustomize":
        words = ["kustomize", *words[1:]]
    return subprocess.run(
        [kubectl, "--server=http://127.0.0.1:1", *words],
        env={**os.environ, "HOME": str(home), "KUBECONFIG": str(home / "none")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("line", LINES)
def test_kubectl_accepts_the_flags_and_finds_no_server(
    line: str, kubectl: str, tmp_path: Path
) -> None:
    ended = without_a_server(kubectl, line, tmp_path)
    if parse(line).verb.startswith("kustomize"):
        assert ended.returncode == 0, ended.stderr
    else:
        assert "refused" in ended.stderr.splitlines()[-1], ended.stderr


@pytest.mark.parametrize(
    "words",
    ["get pods --colour", "rollout undo", "scale deployment/a", "exec valkey-0", "patch hpa a"],
)
def test_kubectl_refuses_a_wrong_command_without_a_server(
    words: str, kubectl: str, tmp_path: Path
) -> None:
    ended = without_a_server(kubectl, OURS + words, tmp_path)
    assert ended.returncode != 0
    assert "refused" not in ended.stderr
