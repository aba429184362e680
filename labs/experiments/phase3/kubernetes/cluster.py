"""What manifests mean together: who selects whom, which port leads where, who may talk to whom."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from environment.errors import DescriptionError
from labs.experiments.phase3.kubernetes.manifests import Manifest, title

WORKLOADS = ("Deployment", "StatefulSet")
"""The kinds that run Pods."""

NOBODY = "nobody"
"""Where a Service leads that selects no Pods."""

_NAME_SERVERS = {"kubernetes.io/metadata.name": "kube-system"}
_QUANTITIES = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}

PING = (
    "bash",
    "-c",
    "exec 3<>/dev/tcp/127.0.0.1/$PORT && echo PING >&3 && read -r -t 2 said <&3 && [[ $said == +PONG* ]]",
)
"""How a probe asks Valkey, which speaks nothing that Kubernetes speaks; run in the container, whose `$PORT` it is."""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Pod:
    """What a Deployment or StatefulSet makes copies of: here always one container."""

    workload: Manifest

    @property
    def spec(self) -> dict[str, Any]:
        found: dict[str, Any] = self.workload["spec"]["template"]["spec"]
        return found

    @property
    def labels(self) -> Labels:
        found: Labels = self.workload["spec"]["template"]["metadata"]["labels"]
        return found

    @cached_property
    def container(self) -> dict[str, Any]:
        """The only one; a second is an error."""
        containers: list[dict[str, Any]] = self.spec["containers"]
        if len(containers) != 1:
            raise DescriptionError(f"{title(self.workload)}: expected one container")
        return containers[0]

    @property
    def ports(self) -> dict[str, int]:
        """The container's ports by name, or by number where they have none."""
        said = self.container.get("ports", ())
        return {
            port.get("name", str(port["containerPort"])): port["containerPort"] for port in said
        }

    @property
    def variables(self) -> dict[str, str]:
        """The environment that is written with the container itself, as far as it is written and not referred to."""
        said = self.container.get("env", ())
        return {item["name"]: item["value"] for item in said if "value" in item}

    @property
    def security(self) -> dict[str, Any]:
        """How the container is confined; nothing said is nothing confined."""
        found: dict[str, Any] = self.container.get("securityContext", {})
        return found

    @property
    def user(self) -> str | None:
        """`uid:gid`, as Compose writes it; None where the image's user may be root."""
        said = self.spec.get("securityContext", {})
        if not said.get("runAsNonRoot"):
            return None
        return f"{said.get('runAsUser')}:{said.get('runAsGroup')}"

    @property
    def memory_limit(self) -> int | None:
        """In bytes."""
        text = self.container.get("resources", {}).get("limits", {}).get("memory")
        match = re.fullmatch(r"(\d+)(Ki|Mi|Gi|)", str(text))
        return int(match[1]) * _QUANTITIES[match[2]] if match else None

    @property
    def grace_seconds(self) -> int:
        """What is left of the grace period, once the pause before SIGTERM is over."""
        pause = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        return int(self.spec.get("terminationGracePeriodSeconds", 30) - pause.get("seconds", 0))

    def probe(self, name: str) -> tuple[str, int | None]:
        """What a probe asks: an HTTP path, `tcp` or `valkey`, and the port's number; `("nothing", None)` where there
        is none."""
        said = self.container.get(name, {})
        if tuple(said.get("exec", {}).get("command", ())) == PING:
            return "valkey", self.port(int(self.variables["PORT"]))
        way = said.get("httpGet") or said.get("tcpSocket")
        if not way:
            return "nothing", None
        return way.get("path", "tcp"), self.port(way["port"])

    def port(self, said: str | int) -> int | None:
        """The number of a port that is called by name or number; None where no container listens."""
        if isinstance(said, int):
            return said if said in self.ports.values() else None
        return self.ports.get(said)

    @property
    def temporary(self) -> list[str]:
        """Paths of folders that live and die with the Pod."""
        kept = {volume["name"] for volume in self.spec.get("volumes", ()) if "emptyDir" in volume}
        return [path for name, path in self._mounts if name in kept]

    @property
    def volumes(self) -> list[tuple[str, str]]:
        """Disks that outlive the Pod, as (claim, path)."""
        claims = {
            volume["name"]: volume["persistentVolumeClaim"]["claimName"]
            for volume in self.spec.get("volumes", ())
            if "persistentVolumeClaim" in volume
        }
        for claim in self.workload["spec"].get("volumeClaimTemplates", ()):
            claims[claim["metadata"]["name"]] = claim["metadata"]["name"]
        return [(claims[name], path) for name, path in self._mounts if name in claims]

    @property
    def _mounts(self) -> list[tuple[str, str]]:
        return [
            (item["name"], item["mountPath"]) for item in self.container.get("volumeMounts", ())
        ]


class Cluster:
    """Manifests, asked about one another. All of them live in one namespace."""

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self.manifests = manifests
        self.workloads = {
            item["metadata"]["name"]: item for item in manifests if item["kind"] in WORKLOADS
        }

    def of(self, kind: str) -> dict[str, Manifest]:
        """The objects of that kind, by name."""
        return {i["metadata"]["name"]: i for i in self.manifests if i["kind"] == kind}

    def pod(self, name: str) -> Pod:
        """What the Deployment or StatefulSet of that name runs."""
        return Pod(self.workloads[name])

    def replicas(self, name: str) -> int:
        """How many Pods a workload has at first: its autoscaler's least, else what it says itself."""
        for scaler in self.of("HorizontalPodAutoscaler").values():
            if scaler["spec"]["scaleTargetRef"]["name"] == name:
                return int(scaler["spec"]["minReplicas"])
        return int(self.workloads[name]["spec"].get("replicas", 1))

    def configured(self, pod: Pod) -> dict[str, str]:
        """The variables that a container takes from whole ConfigMaps."""
        names = [item["configMapRef"]["name"] for item in pod.container.get("envFrom", ())]
        maps = self.of("ConfigMap")
        return {k: v for name in names if name in maps for k, v in maps[name]["data"].items()}

    def ways(self, service: Manifest) -> list[tuple[int, str, int | None]]:
        """Where a Service's ports lead, as (its port, the workload, the container's port)."""
        spec = service["spec"]
        chosen = [
            name
            for name in self.workloads
            if spec.get("selector") and _has(self.pod(name).labels, spec["selector"])
        ]
        return [
            (port["port"], name, self.pod(name).port(port.get("targetPort", port["port"])))
            for port in spec.get("ports", ())
            for name in chosen
        ] or [(port["port"], NOBODY, None) for port in spec.get("ports", ())]

    def rules(self, ingress: Manifest) -> list[tuple[str, str, str, int]]:
        """An Ingress's rules, as (host, path, Service, its port)."""
        found = []
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                found.append(
                    (rule["host"], path["path"], backend["name"], backend["port"]["number"])
                )
        return found

    def may_talk(self, caller: str, called: str, port: int) -> bool:
        """Whether the NetworkPolicies let one workload's Pods connect to another's, at both ends."""
        here, there = self.pod(caller).labels, self.pod(called).labels
        out = self._allowed("egress", here, None, there, ("TCP", port))
        return out and self._allowed("ingress", there, None, here, ("TCP", port))

    def finds_names(self, caller: str) -> bool:
        """Whether a workload's Pods may ask the cluster's name servers."""
        return all(
            self._allowed("egress", self.pod(caller).labels, _NAME_SERVERS, {}, (protocol, 53))
            for protocol in ("UDP", "TCP")
        )

    def admits_namespace(self, namespace: Labels, called: str, port: int) -> bool:
        """Whether Pods of a namespace with these labels may connect to a workload's."""
        return self._allowed("ingress", self.pod(called).labels, namespace, {}, ("TCP", port))

    def _allowed(
        self, way: str, pod: Labels, namespace: Labels | None, peer: Labels, port: tuple[str, int]
    ) -> bool:
        """Policies add up: without one for that way all is allowed, with one only what some policy says."""
        policies = [
            item["spec"]
            for item in self.of("NetworkPolicy").values()
            if way.title() in item["spec"]["policyTypes"]
            and _selects(item["spec"]["podSelector"], pod)
        ]
        rules = [rule for spec in policies for rule in spec.get(way, ())]
        return not policies or any(_admits(rule, namespace, peer, port) for rule in rules)

    def dangling(self) -> Iterator[str]:
        """References to what is not there: Kubernetes takes them, and waits for ever."""
        services, claims = self.of("Service"), self.of("PersistentVolumeClaim")
        for name, scaler in self.of("HorizontalPodAutoscaler").items():
            target = scaler["spec"]["scaleTargetRef"]
            if f"{target['kind']}/{target['name']}" not in map(title, self.workloads.values()):
                yield f"HorizontalPodAutoscaler/{name} scales {target['name']}, which is not there"
        for name, budget in self.of("PodDisruptionBudget").items():
            if not self._selected(budget["spec"]["selector"]):
                yield f"PodDisruptionBudget/{name} selects no Pods"
        for name, policy in self.of("NetworkPolicy").items():
            if not self._selected(policy["spec"]["podSelector"]):
                yield f"NetworkPolicy/{name} selects no Pods"
        for name, ingress in self.of("Ingress").items():
            for *_, backend, port in self.rules(ingress):
                if port not in [way[0] for way in self.ways(services.get(backend, _NO_SERVICE))]:
                    yield f"Ingress/{name} leads to {backend}:{port}, which is not there"
        for name, item in self.workloads.items():
            pod = self.pod(name)
            if not _selects(item["spec"]["selector"], pod.labels):
                yield f"{title(item)} does not select its own Pods"
            if item["kind"] == "StatefulSet" and item["spec"]["serviceName"] not in services:
                yield f"{title(item)} has no Service {item['spec']['serviceName']}"
            wanted = {said["configMapRef"]["name"] for said in pod.container.get("envFrom", ())}
            for missing in sorted(wanted - set(self.of("ConfigMap"))):
                yield f"{title(item)} needs ConfigMap/{missing}, which is not there"
            made = {c["metadata"]["name"] for c in item["spec"].get("volumeClaimTemplates", ())}
            for missing in sorted({claim for claim, _ in pod.volumes} - set(claims) - made):
                yield f"{title(item)} needs PersistentVolumeClaim/{missing}, which is not there"

    def _selected(self, selector: Mapping[str, Any]) -> list[str]:
        return [name for name in self.workloads if _selects(selector, self.pod(name).labels)]


_NO_SERVICE: Manifest = {"spec": {}}


def _has(labels: Labels, wanted: Labels) -> bool:
    return wanted.items() <= labels.items()


def _selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    if set(selector) - {"matchLabels"}:
        raise DescriptionError(f"a selector by {sorted(selector)}: only matchLabels are read here")
    return _has(labels, selector.get("matchLabels", {}))


def _admits(
    rule: Mapping[str, Any], namespace: Labels | None, peer: Labels, port: tuple[str, int]
) -> bool:
    """Whether one rule allows that peer (`namespace` None is our own) at that (protocol, port)."""
    ports = [(said["protocol"], said["port"]) for said in rule.get("ports", ())]
    peers = rule.get("from") or rule.get("to") or ()
    return (not ports or port in ports) and (
        not peers or any(_is(said, namespace, peer) for said in peers)
    )


def _is(said: Mapping[str, Any], namespace: Labels | None, peer: Labels) -> bool:
    if unknown := set(said) - {"podSelector", "namespaceSelector"}:
        raise DescriptionError(f"a peer by {sorted(unknown)}: only selectors are read here")
    if ("namespaceSelector" in said) != (namespace is not None):
        return False
    own = namespace is None or _selects(said["namespaceSelector"], namespace)
    return own and _selects(said.get("podSelector", {}), peer)
