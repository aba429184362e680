"""The agreement of manifests with docker-compose.yml: the same services, or a list of what differs.

nginx is the one service that Kubernetes replaces: an Ingress of its name leads to every service that is behind nginx,
and an ExternalName of its name names the proxy.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from environment.compose import Description, Service
from environment.nginx import PROXY
from labs.experiments.phase3.kubernetes.cluster import Cluster
from labs.experiments.phase3.kubernetes.manifests import Manifest, explained, title
from labs.experiments.phase3.kubernetes.pod import Pod

SECRETS = ("AUTH_TOKEN", "CONTROL_TOKEN", "DATABASE_URL")
"""Settings whose values are never written here: the manifests refer to a Secret."""

REFERENCE = "by reference to a Secret"
CONTROLLERS = {"microservices-lab/door": "ingress"}
"""The label of the namespace that Ingress controllers live in."""

_ADDRESS = re.compile(r"\w+://([a-z][a-z0-9-]*):(\d+)")


@explained()
def disagreements(manifests: Sequence[Manifest], description: Description) -> list[str]:
    """Return how the manifests differ from the description, a sentence each; empty when they agree."""
    cluster = Cluster(manifests)
    services = [s for s in description.services.values() if s.name != PROXY]
    differences = [
        f"{title(item)} stands for no service of docker-compose.yml"
        for name, item in cluster.workloads.items()
        if name not in {service.name for service in services}
    ]
    for service in services:
        if service.name in cluster.workloads:
            differences += _sentences(service.name, _workload(service, cluster))
        else:
            differences.append(f"{service.name} has no Deployment or StatefulSet")
    if PROXY in description.services:
        differences += _sentences(PROXY, _proxy(description, cluster))
    return [
        *differences,
        *_doors(description, cluster),
        *_conversations(services, cluster),
        *cluster.dangling(),
        *_written_secrets(cluster),
    ]


Difference = tuple[str, Any, Any]
"""A field, its value by the manifests, and its value by the description."""


def _sentences(name: str, differences: Iterable[Difference]) -> list[str]:
    return [
        f"{name}: {field} is {here!r}, and docker-compose.yml says {there!r}"
        for field, here, there in differences
        if here != there
    ]


def _workload(service: Service, cluster: Cluster) -> Iterator[Difference]:
    pod = cluster.pod(service.name)
    yield "image", pod.container["image"], service.image
    yield "args", tuple(pod.container.get("args", ())), service.command
    yield "container port", sorted(pod.ports.values()), sorted(service.ports)
    yield "environment", _environment(service, pod, cluster), _described(service)
    yield from _probes(service, pod)
    yield "memory limit (bytes)", pod.memory_limit, service.mem_limit
    yield "grace period (s)", pod.grace_seconds, service.stop_grace_period
    yield "user", pod.user, service.user
    yield "read-only root", pod.security.get("readOnlyRootFilesystem", False), service.read_only
    dropped = tuple(pod.security.get("capabilities", {}).get("drop", ()))
    yield "dropped capabilities", dropped, service.cap_drop
    confined = not pod.security.get("allowPrivilegeEscalation", True)
    yield "no new privileges", confined, "no-new-privileges:true" in service.security_opt
    yield "temporary folders", sorted(pod.temporary), sorted(service.tmpfs)
    yield "volumes", sorted(pod.volumes), sorted(service.volumes)
    item = cluster.of("Service").get(service.name)
    ways = cluster.ways(item) if item else []
    yield "Service", ways, [(port, service.name, port) for port in service.ports]


def _environment(service: Service, pod: Pod, cluster: Cluster) -> dict[str, str]:
    """Return the container's variables.

    One from a Secret is `REFERENCE` where the Secret exists and the key is its own.
    """
    values = dict(cluster.configured(pod))
    for item in pod.container.get("env", ()):
        name = item["name"]
        if "value" in item:
            values[name] = item["value"]
            continue
        key = item["valueFrom"].get("secretKeyRef", {})
        own = key.get("key") in (name, f"{service.name}.{name}") and key.get("optional")
        values[name] = REFERENCE if own and key["name"] in cluster.of("Secret") else str(key)
    if not service.environment.get("DATABASE_URL") and values.get("DATABASE_URL") == REFERENCE:
        del values["DATABASE_URL"]  # a service may have one, and need not
    return {name: value for name, value in values.items() if value}


def _described(service: Service) -> dict[str, str]:
    """Return what Compose sets; an empty value is the same as none (the services read it so)."""
    wanted = {name: value for name, value in service.environment.items() if value}
    secret = [name for name in service.environment if name in SECRETS]
    if not service.environment.get("DATABASE_URL"):
        secret = [name for name in secret if name != "DATABASE_URL"]
    return wanted | dict.fromkeys(secret, REFERENCE)


def _probes(service: Service, pod: Pod) -> Iterator[Difference]:
    """Compare the probes: readiness with `x-lab.ready`, periods and tries with Compose's health check.

    Liveness asks for less than readiness: a service that waits for a database, or a Valkey that still reads its file,
    must not be killed.
    """
    ready = service.x_lab.ready.removeprefix("http ")
    alive = "/health" if service.speaks_http else "tcp"
    yield "readiness", pod.probe("readinessProbe"), (ready, service.port)
    yield "liveness", pod.probe("livenessProbe"), (alive, service.port)
    yield "startup", pod.probe("startupProbe"), (alive, service.port)
    if check := service.healthcheck:
        for name in ("readinessProbe", "startupProbe"):
            timing = tuple(
                pod.container.get(name, {}).get(key) for key in ("periodSeconds", "timeoutSeconds")
            )
            yield f"{name} period and timeout (s)", timing, (check.interval, check.timeout)
        tries = pod.container.get("startupProbe", {}).get("failureThreshold")
        yield "tries of the startup probe", tries, check.retries


def _proxy(description: Description, cluster: Cluster) -> Iterator[Difference]:
    """Compare the Ingress with nginx, which leads to every service that speaks HTTP."""
    ingress = cluster.of("Ingress").get(PROXY)
    here = {way[2:] for way in cluster.rules(ingress)} if ingress else set()
    behind = {(s.name, s.port) for s in description.services.values() if s.speaks_http}
    yield "Ingress leads to", sorted(here), sorted(behind)
    alias = cluster.of("Service").get(PROXY, {"spec": {}})["spec"]
    yield "Service's type", alias.get("type"), "ExternalName"


def _doors(description: Description, cluster: Cluster) -> Iterator[str]:
    """Check that any other Service is a front door: nginx's port, and the same way from there."""
    front = description.services[PROXY].port if PROXY in description.services else None
    for name, item in cluster.of("Service").items():
        if name in description.services:
            continue
        for port, target, number in cluster.ways(item):
            service = description.services.get(target)
            if not service or not service.speaks_http or (port, number) != (front, service.port):
                yield f"Service/{name} leads from {port} to {target}:{number}, which is no front door"


def _conversations(services: Sequence[Service], cluster: Cluster) -> Iterator[str]:
    """Check that a service may connect to those whose address it is given, and to no other."""
    here = [service for service in services if service.name in cluster.workloads]
    known = {service.name for service in here}
    for caller in here:
        calls = {
            (match[1], int(match[2]))
            for value in caller.environment.values()
            for match in _ADDRESS.finditer(value)
        }
        if not cluster.finds_names(caller.name):
            yield f"{caller.name} may not connect to the cluster's DNS"
        for called in here:
            if called is caller:
                continue
            may = cluster.may_talk(caller.name, called.name, called.port)
            if may != ((called.name, called.port) in calls):
                yield f"{caller.name} {'may' if may else 'may not'} connect to {called.name}:{called.port}"
    front = {
        way[1]
        for name, item in cluster.of("Service").items()
        for way in cluster.ways(item)
        if name not in known
    }
    for service in here:
        at = f"{service.name}:{service.port}"
        if cluster.admits_namespace(CONTROLLERS, service.name, service.port) != service.speaks_http:
            yield f"the Ingress controller {'may not' if service.speaks_http else 'may'} connect to {at}"
        if cluster.admits_namespace({}, service.name, service.port) != (service.name in front):
            yield f"other namespaces {'may not' if service.name in front else 'may'} connect to {at}"


def _written_secrets(cluster: Cluster) -> Iterator[str]:
    for name, item in cluster.of("Secret").items():
        if item.get("data") or item.get("stringData"):
            yield f"Secret/{name} holds a value: a value in a file is no secret"
