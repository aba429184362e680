"""The manifests themselves: read as kustomize reads them, valid on two versions of Kubernetes, and confined."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from environment.errors import DescriptionError
from labs.experiments.phase3.kubernetes import (
    BASE,
    KAFKA,
    LAPTOP,
    VERSIONS,
    Cluster,
    Manifest,
    Pod,
    read_manifests,
    schema_problem,
    title,
)

FOLDERS = [pytest.param(folder, id=folder.name) for folder in (BASE, LAPTOP, KAFKA)]


def kustomize() -> list[str] | None:
    """Return the command of the real kustomize, where this machine has it."""
    if path := shutil.which("kustomize"):
        return [path, "build"]
    if path := shutil.which("kubectl"):
        version = subprocess.run([path, "version", "--client"], capture_output=True, text=True)
        # kubectl before 1.21 holds a kustomize without support for `patches` with a target.
        return [path, "kustomize"] if "Kustomize Version: v5" in version.stdout else None
    return None


@pytest.mark.parametrize("folder", FOLDERS)
def test_we_read_a_kustomization_as_kustomize_does(folder: Path) -> None:
    command = kustomize()
    if command is None:
        pytest.skip("neither kustomize nor a kubectl with kustomize 5 is installed")
    built = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    theirs = {title(item): item for item in yaml.safe_load_all(built.stdout)}
    assert {title(item): item for item in read_manifests(folder)} == theirs


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", [BASE, KAFKA], ids=["base", "kafka"])
def test_every_object_is_valid(folder: Path, version: str) -> None:
    problems = {title(item): schema_problem(item, version) for item in read_manifests(folder)}
    assert {name: problem for name, problem in problems.items() if problem} == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_overlay_changes_is_valid(version: str) -> None:
    base = read_manifests(BASE)
    changed = [item for item in read_manifests(LAPTOP) if item not in base]
    assert {item["kind"] for item in changed} == {
        "HorizontalPodAutoscaler",
        "Deployment",
        "Service",
    }
    assert [schema_problem(item, version) for item in changed] == [""] * len(changed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"kind": "Servise"}, "has no Servise"),
        ({"apiVersion": "v7"}, "has no Service in v7"),
        ({"spec": {"ports": [{"port": "http"}]}}, "spec.ports.0.port"),
        ({"spec": {"prots": []}}, "prots"),
    ],
)
def test_a_schema_refuses_what_kubernetes_would(change: Manifest, problem: str) -> None:
    service = next(item for item in read_manifests(BASE) if item["kind"] == "Service")
    assert schema_problem(service, VERSIONS[0]) == ""
    assert problem in schema_problem({**service, **change}, VERSIONS[0])


def test_the_objects_of_the_course_are_all_there() -> None:
    kinds = {item["kind"] for item in read_manifests(BASE)}
    assert kinds == {
        "Namespace",
        "ConfigMap",
        "Secret",
        "Deployment",
        "StatefulSet",
        "Service",
        "PersistentVolumeClaim",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "Ingress",
        "NetworkPolicy",
    }
    types = {s["spec"]["type"] for s in Cluster(read_manifests(BASE)).of("Service").values()}
    assert types == {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName"}


def pods(folder: Path) -> dict[str, Pod]:
    return {name: Pod(item) for name, item in Cluster(read_manifests(folder)).workloads.items()}


PODS = [
    pytest.param(pod, id=name) for folder in (BASE, KAFKA) for name, pod in pods(folder).items()
]


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_meets_the_restricted_standard(pod: Pod) -> None:
    assert pod.user is not None, "may not run as root"
    assert not pod.user.startswith("0:")
    assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod.security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod.spec["automountServiceAccountToken"] is False
    assert pod.spec["enableServiceLinks"] is False


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_requests_resources_and_answers_three_probes(pod: Pod) -> None:
    assert set(pod.container["resources"]["requests"]) == {"cpu", "memory"}
    assert pod.memory_limit is not None
    probes = [pod.probe(name) for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert all(port in pod.ports.values() for _, port in probes)


def test_the_namespace_enforces_it_and_holds_everything() -> None:
    manifests = [*read_manifests(BASE), *read_manifests(KAFKA)]
    (room,) = (item for item in manifests if item["kind"] == "Namespace")
    assert room["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    inside = {i["metadata"].get("namespace") for i in manifests if i["kind"] != "Namespace"}
    assert inside == {room["metadata"]["name"]}


def test_a_connection_that_no_policy_allows_is_denied() -> None:
    deny = Cluster(read_manifests(BASE)).of("NetworkPolicy")["default-deny"]["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("folder", [BASE, LAPTOP], ids=["base", "laptop"])
def test_the_autoscaler_decides_alone_and_nodes_can_be_drained(folder: Path) -> None:
    cluster = Cluster(read_manifests(folder))
    (scaler,) = cluster.of("HorizontalPodAutoscaler").values()
    target = scaler["spec"]["scaleTargetRef"]["name"]
    assert "replicas" not in cluster.workloads[target]["spec"]
    assert cluster.replicas(target) == scaler["spec"]["minReplicas"] >= 2
    (budget,) = cluster.of("PodDisruptionBudget").values()
    assert budget["spec"]["maxUnavailable"] == 1


def test_one_disk_is_never_written_by_two_pods() -> None:
    for name, pod in pods(BASE).items():
        spec = pod.workload["spec"]
        if pod.volumes and pod.workload["kind"] == "Deployment":
            assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"}), name


def test_kafka_belongs_to_phase_4() -> None:
    manifests = read_manifests(KAFKA)
    assert {i["metadata"]["labels"]["microservices-lab/phase"] for i in manifests} == {"phase4"}
    pod = pods(KAFKA)["kafka"]
    image, _, version = pod.container["image"].partition(":")
    assert (image, version.split(".")[0]) == ("apache/kafka", "4")
    values = {item["name"]: item.get("value") for item in pod.container["env"]}
    assert values["KAFKA_PROCESS_ROLES"] == "broker,controller", "KRaft: no ZooKeeper"
    voters = [
        f"{number}@kafka-{number}.{pod.workload['spec']['serviceName']}:{pod.ports['controller']}"
        for number in range(pod.workload["spec"]["replicas"])
    ]
    assert values["KAFKA_CONTROLLER_QUORUM_VOTERS"] == ",".join(voters)
    assert list(Cluster(manifests).dangling()) == ["NetworkPolicy/kafka-clients selects no Pods"], (
        "until services of phase 4 are clients"
    )


def kustomization(folder: Path, content: str) -> Path:
    (folder / "kustomization.yaml").write_text(
        f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n{content}"
    )
    return folder


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("resources: []\nnamePrefix: x-", "namePrefix"),
        ("resources: [nothing.yaml]", "nothing.yaml"),
        (
            "resources: [a.yaml]\npatches: [{target: {kind: Secret, name: b}, patch: '[]'}]",
            "Secret/b",
        ),
        (
            "resources: [a.yaml]\npatches:\n  - target: {kind: Secret, name: a}\n"
            "    patch: '[{op: remove, path: /spec}]'",
            "spec",
        ),
        (
            "resources: [a.yaml]\npatches:\n  - target: {kind: Secret, name: a}\n"
            "    patch: '[{op: move, path: /kind}]'",
            "op",
        ),
    ],
)
def test_a_kustomization_key_that_is_not_supported_raises(
    tmp_path: Path, content: str, problem: str
) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    with pytest.raises(DescriptionError, match=problem):
        read_manifests(kustomization(tmp_path, content))
