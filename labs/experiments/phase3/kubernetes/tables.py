"""The manifests as tables: the objects, and the arrows from a client to the Pods.

A record of a run keeps these tables, so that the picture can be drawn again without the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from labs.experiments.phase3.kubernetes.cluster import Cluster
from labs.experiments.phase3.kubernetes.manifests import Manifest, explained, title

MEASURED = {
    "Namespace": "a session of the lab: what one `lab down` removes",
    "ConfigMap": "env.configure(...)",
    "Secret": "the session's token, without which no client can break a service",
    "Deployment": "env.scale and env.roll, and a health check that runs before your request does",
    "StatefulSet": "the shared counter: a name and a disk that stay",
    "PersistentVolumeClaim": "the named volume: data survives kill and restart",
    "ClusterIP": "distribution: round robin is even, a random choice only about so",
    "headless": "no choice: the name leads straight to the Pod",
    "NodePort": "nginx's port on your machine, on every machine",
    "LoadBalancer": "nginx's port on your machine, on a machine of the cloud",
    "ExternalName": "the proxy whose X-Real-IP the limiter trusts",
    "Ingress": "nginx as the front door",
    "HorizontalPodAutoscaler": "autoscaling: the same formula, the same flapping without a window",
    "PodDisruptionBudget": "a rolling replacement's rule, for emptying a node",
    "NetworkPolicy": "a session's own network, with the connections it allows",
}
"""What the reader has just measured, by the kind of object (or type of Service) that does it."""

DOORS = ("NodePort", "LoadBalancer")
"""The types of Service that accept connections from outside the cluster."""


@explained()
def list_objects(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """Return a row per object.

    Columns: `kind`, `name`, what it `says` in a few words, how many `pods` it runs, and what the
    reader has `measured` that it does on a cluster.
    """
    cluster = Cluster(manifests)
    return pd.DataFrame(
        {
            "kind": [item["kind"] for item in manifests],
            "name": [item["metadata"]["name"] for item in manifests],
            "says": [_says(item, cluster) for item in manifests],
            "pods": [_pods(item, cluster) for item in manifests],
            "measured": [MEASURED.get(_type(item), "") for item in manifests],
        }
    )


@explained()
def list_arrows(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """Return a row per arrow: from a client to the Pods, and on to those that they may connect to.

    Columns: `kind` (enters, routes, selects, may talk), `name` and `to` (objects, or `client`),
    `says` (host and path of a rule, ports of a Service).
    """
    rows = list(_arrows(Cluster(manifests)))
    return pd.DataFrame(rows, columns=["kind", "name", "to", "says"])


def _type(item: Manifest) -> str:
    if item["kind"] != "Service":
        return str(item["kind"])
    return "headless" if item["spec"].get("clusterIP") == "None" else str(item["spec"]["type"])


def _pods(item: Manifest, cluster: Cluster) -> int:
    name = item["metadata"]["name"]
    return cluster.replicas(name) if cluster.workloads.get(name) is item else 0


def _says(item: Manifest, cluster: Cluster) -> str:
    name, spec = item["metadata"]["name"], item.get("spec", {})
    match _type(item):
        case "Deployment" | "StatefulSet":
            pod = cluster.pod(name)
            ports = ", ".join(map(str, pod.ports.values()))
            limit = (pod.memory_limit or 0) // 2**20
            return f"port {ports}, ready by {pod.probe('readinessProbe')[0]}, up to {limit} MiB"
        case "ExternalName":
            return f"ExternalName: {spec['externalName']}"
        case "ClusterIP" | "headless" | "NodePort" | "LoadBalancer" as kind:
            ways = [f"{port} to {target}:{number}" for port, target, number in cluster.ways(item)]
            return f"{kind}: {', '.join(ways)}"
        case "Ingress":
            rules = cluster.rules(item)
            return ", ".join(f"{host}{path} to {to}:{port}" for host, path, to, port in rules)
        case "HorizontalPodAutoscaler":
            target = spec["metrics"][0]["resource"]["target"]["averageUtilization"]
            return f"{spec['minReplicas']} to {spec['maxReplicas']} Pods, CPU at {target} %"
        case "PodDisruptionBudget":
            return f"at most {spec['maxUnavailable']} away"
        case "PersistentVolumeClaim":
            return str(spec["resources"]["requests"]["storage"])
        case "ConfigMap":
            return f"{len(item['data'])} settings"
        case "NetworkPolicy":
            pods = ", ".join(spec["podSelector"].get("matchLabels", {}).values()) or "every Pod"
            return f"{' and '.join(spec['policyTypes']).lower()} of {pods}"
        case "Secret":
            return "no value here"
        case _:
            return ""


def _arrows(cluster: Cluster) -> Iterator[tuple[str, str, str, str]]:
    titles = {name: title(item) for name, item in cluster.workloads.items()}
    for ingress in cluster.of("Ingress").values():
        yield "enters", "client", title(ingress), ""
        for host, path, service, _ in cluster.rules(ingress):
            yield "routes", title(ingress), f"Service/{service}", host + path
    for item in cluster.of("Service").values():
        if _type(item) in DOORS:
            yield "enters", "client", title(item), ""
        for port, target, number in cluster.ways(item):
            ports = f"{port}" if port == number else f"{port} → {number}"
            yield "selects", title(item), titles.get(target, target), ports
    for caller in titles:
        for called in titles:
            port = next(iter(cluster.pod(called).ports.values()), 0)
            if caller != called and cluster.may_talk(caller, called, port):
                yield "may talk", titles[caller], titles[called], ""
