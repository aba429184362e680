"""What manifests mean together: what selects which Pods, where ports lead, which connections are allowed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labs.experiments.phase3.kubernetes.manifests import Manifest, title
from labs.experiments.phase3.kubernetes.pod import Labels, Pod
from labs.experiments.phase3.kubernetes.selectors import admits, has_labels, selects

WORKLOADS = ("Deployment", "StatefulSet")
"""The kinds that run Pods."""

NO_PODS = "no Pods"
"""Where a Service leads that selects no Pods."""

_NAME_SERVERS = {"kubernetes.io/metadata.name": "kube-system"}
_NO_SERVICE: Manifest = {"spec": {}}


class Cluster:
    """Manifests and what they mean for one another. All of them are in one namespace."""

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self.manifests = manifests
        self.workloads = {
            item["metadata"]["name"]: item for item in manifests if item["kind"] in WORKLOADS
        }

    def of(self, kind: str) -> dict[str, Manifest]:
        """Return the objects of that kind, by name."""
        return {i["metadata"]["name"]: i for i in self.manifests if i["kind"] == kind}

    def pod(self, name: str) -> Pod:
        """Return what the Deployment or StatefulSet of that name runs."""
        return Pod(self.workloads[name])

    def replicas(self, name: str) -> int:
        """Return how many Pods a workload has at first: its autoscaler's least, else its own number."""
        for scaler in self.of("HorizontalPodAutoscaler").values():
            if scaler["spec"]["scaleTargetRef"]["name"] == name:
                return int(scaler["spec"]["minReplicas"])
        return int(self.workloads[name]["spec"].get("replicas", 1))

    def configured(self, pod: Pod) -> dict[str, str]:
        """Return the variables that a container takes from whole ConfigMaps."""
        names = [item["configMapRef"]["name"] for item in pod.container.get("envFrom", ())]
        maps = self.of("ConfigMap")
        return {k: v for name in names if name in maps for k, v in maps[name]["data"].items()}

    def ways(self, service: Manifest) -> list[tuple[int, str, int | None]]:
        """Return where a Service's ports lead, as (its port, the workload, the container's port)."""
        spec = service["spec"]
        chosen = [
            name
            for name in self.workloads
            if spec.get("selector") and has_labels(self.pod(name).labels, spec["selector"])
        ]
        return [
            (port["port"], name, self.pod(name).port(port.get("targetPort", port["port"])))
            for port in spec.get("ports", ())
            for name in chosen
        ] or [(port["port"], NO_PODS, None) for port in spec.get("ports", ())]

    def rules(self, ingress: Manifest) -> list[tuple[str, str, str, int]]:
        """Return an Ingress's rules, as (host, path, Service, its port)."""
        rules = []
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                rules.append(
                    (rule["host"], path["path"], backend["name"], backend["port"]["number"])
                )
        return rules

    def may_talk(self, caller: str, called: str, port: int) -> bool:
        """Return whether the NetworkPolicies let one workload's Pods connect to another's, at both ends."""
        here, there = self.pod(caller).labels, self.pod(called).labels
        out = self._allowed("egress", here, None, there, ("TCP", port))
        return out and self._allowed("ingress", there, None, here, ("TCP", port))

    def finds_names(self, caller: str) -> bool:
        """Return whether a workload's Pods may connect to the cluster's name servers."""
        return all(
            self._allowed("egress", self.pod(caller).labels, _NAME_SERVERS, {}, (protocol, 53))
            for protocol in ("UDP", "TCP")
        )

    def admits_namespace(self, namespace: Labels, called: str, port: int) -> bool:
        """Return whether Pods of a namespace with these labels may connect to a workload's."""
        return self._allowed("ingress", self.pod(called).labels, namespace, {}, ("TCP", port))

    def _allowed(
        self, way: str, pod: Labels, namespace: Labels | None, peer: Labels, port: tuple[str, int]
    ) -> bool:
        """Return whether the policies for a direction allow a peer.

        Without a policy for that direction everything is allowed, with one only what some policy
        allows.
        """
        policies = [
            item["spec"]
            for item in self.of("NetworkPolicy").values()
            if way.title() in item["spec"]["policyTypes"]
            and selects(item["spec"]["podSelector"], pod)
        ]
        rules = [rule for spec in policies for rule in spec.get(way, ())]
        return not policies or any(admits(rule, namespace, peer, port) for rule in rules)

    def dangling(self) -> Iterator[str]:
        """Yield the references to objects that do not exist: Kubernetes accepts them, and waits for ever."""
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
            if not selects(item["spec"]["selector"], pod.labels):
                yield f"{title(item)} does not select its own Pods"
            if item["kind"] == "StatefulSet" and item["spec"]["serviceName"] not in services:
                yield f"{title(item)} has no Service {item['spec']['serviceName']}"
            wanted = {source["configMapRef"]["name"] for source in pod.container.get("envFrom", ())}
            for missing in sorted(wanted - set(self.of("ConfigMap"))):
                yield f"{title(item)} needs ConfigMap/{missing}, which is not there"
            made = {c["metadata"]["name"] for c in item["spec"].get("volumeClaimTemplates", ())}
            for missing in sorted({claim for claim, _ in pod.volumes} - set(claims) - made):
                yield f"{title(item)} needs PersistentVolumeClaim/{missing}, which is not there"

    def _selected(self, selector: Mapping[str, Any]) -> list[str]:
        return [name for name in self.workloads if selects(selector, self.pod(name).labels)]
