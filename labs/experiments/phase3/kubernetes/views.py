"""Kubernetes manifests to look at: a table of the objects, and a picture of a request's way.

Both come from the manifests alone. `list_objects` and `list_arrows` return frames, so that a record
of a run can be drawn again without the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.patches import FancyBboxPatch, Rectangle

from labs.experiments.phase3.kubernetes import Cluster, Manifest, explained, title
from labs.figures import BLUE, GREEN, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEASURED = {
    "Namespace": "a session of the lab: what one `lab down` removes",
    "ConfigMap": "env.configure(...)",
    "Secret": "the session's token, without which nobody breaks a service",
    "Deployment": "env.scale and env.roll, and a health check that asks before your request does",
    "StatefulSet": "the shared counter: a name and a disk that stay",
    "PersistentVolumeClaim": "the named volume: data survives kill and restart",
    "ClusterIP": "distribution: round robin deals out evenly, a lot only about so",
    "headless": "no lot: the name leads straight to the Pod",
    "NodePort": "nginx's port on your machine, on every machine",
    "LoadBalancer": "nginx's port on your machine, on a machine of the cloud",
    "ExternalName": "the proxy whose X-Real-IP the limiter believes",
    "Ingress": "nginx as the front door",
    "HorizontalPodAutoscaler": "autoscaling: the same formula, the same flapping without a window",
    "PodDisruptionBudget": "a rolling replacement's rule, for whoever empties a node",
    "NetworkPolicy": "a session's own network, with who may talk to whom",
}
"""What the reader has just measured, by the kind of object (or type of Service) that does it."""

DOORS = ("NodePort", "LoadBalancer")
"""The types of Service that let somebody in from outside."""


@explained()
def list_objects(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """The objects as a table: `kind`, `name`, what each `says` in a few words, how many `pods` it
    runs, and what the reader has `measured` that it does on a cluster."""
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
    """Who leads where, from a client to the Pods, and on to those that they may talk to.

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


COLUMNS = {
    "client": (0.045, 0.085, SOFT),
    "Ingress": (0.205, 0.115, ORANGE),
    "Service": (0.535, 0.185, BLUE),
    "Pods": (0.825, 0.18, GREEN),
}
"""From left to right: the middle and the width (fractions of the picture), the colour."""

HEIGHT = 0.092
"""Of a box, as a fraction of the picture."""

Places = Mapping[str, tuple[float, float]]


def draw_ways(ax: Axes, objects: pd.DataFrame, arrows: pd.DataFrame) -> None:
    """Draw `list_arrows` from left to right, in fractions of `ax`; `objects` names types and Pods."""
    ax.set_axis_off()
    about = {f"{row['kind']}/{row['name']}": row for row in objects.to_dict("records")}
    places = _places(list(about), arrows)
    for arrow in arrows.to_dict("records"):
        _draw_arrow(ax, arrow, places)
    for node in places:
        _draw_box(ax, node, about.get(node, {}), *places[node])
    heads = {"client": "", "Ingress": "Ingress", "Service": "Services", "Pods": "Pods"}
    for column, (x, _, colour) in COLUMNS.items():
        ax.text(x, 1.0, heads[column], color=colour, weight="bold", **_text(ax, 9.5))
    note = "a square: a Pod · dashed: who may talk to whom"
    ax.text(0.0, 0.02, note, color=SOFT, **{**_text(ax, 8.5), "ha": "left"})


def _text(ax: Axes, size: float) -> dict[str, Any]:
    return {"ha": "center", "va": "center", "size": size, "transform": ax.transAxes, "zorder": 4}


def _column(node: str) -> str:
    kind = node.partition("/")[0]
    return kind if kind in COLUMNS else "Pods"


def _places(objects: list[str], arrows: pd.DataFrame) -> Places:
    """Services below one another, by the Pods they lead to; all else beside its neighbours."""
    entered = set(arrows[arrows["kind"] == "enters"]["to"])
    drawn = {*arrows["name"], *arrows["to"]}
    services = [node for node in objects if node in drawn and _column(node) == "Service"]
    leads = arrows[arrows["kind"] == "selects"].set_index("name")["to"].to_dict()
    order = [*leads.values(), None]
    services.sort(key=lambda node: (order.index(leads.get(node)), node not in entered))
    step = 0.84 / max(1, len(services) - 1)
    height = {node: 0.91 - step * place for place, node in enumerate(services)}
    for node in drawn - set(services):
        beside = [*arrows[arrows["to"] == node]["name"], *arrows[arrows["name"] == node]["to"]]
        near = [height[other] for other in beside if other in services]
        height[node] = sum(near) / len(near) if near else 0.5
    if "client" in drawn:
        height["client"] = sum(height[node] for node in entered) / len(entered)
    return {node: (COLUMNS[_column(node)][0], y) for node, y in height.items()}


def _draw_box(ax: Axes, node: str, about: Mapping[Any, Any], x: float, y: float) -> None:
    _, width, colour = COLUMNS[_column(node)]
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - HEIGHT / 2),
            width,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.012",
            transform=ax.transAxes,
            facecolor="white",
            edgecolor=colour,
            linewidth=1.4,
            zorder=3,
        )
    )
    kind, _, name = node.partition("/")
    small = about["says"].partition(":")[0] if kind == "Service" and about else kind
    ax.text(x, y + 0.018 * bool(name), name or kind, color=INK, **_text(ax, 9))
    ax.text(x, y - 0.022, small if name else "", color=SOFT, **_text(ax, 7.5))
    for number in range(about.get("pods", 0)):  # a square each, on the box's lower edge
        corner = (x + width / 2 - 0.022 - 0.015 * number, y - HEIGHT / 2 - 0.01)
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "zorder": 4}
        ax.add_patch(Rectangle(corner, 0.013, 0.022, transform=ax.transAxes, **look))


def _draw_arrow(ax: Axes, arrow: Mapping[Any, Any], places: Places) -> None:
    (x, y), (to_x, to_y) = places[arrow["name"]], places[arrow["to"]]
    inside = arrow["kind"] == "may talk"
    start = x + COLUMNS[_column(arrow["name"])][1] / 2
    end = to_x + COLUMNS[_column(arrow["to"])][1] / 2 * (1 if inside else -1)
    look = {
        "arrowstyle": "-|>",
        "color": SOFT,
        "linewidth": 1.0,
        "linestyle": (0, (4, 2)) if inside else "solid",
        "connectionstyle": "arc3,rad=-0.4" if inside else "arc3",
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes = "axes fraction"
    ax.annotate(
        "", (end, to_y), (start, y), xycoords=axes, textcoords=axes, arrowprops=look, zorder=2
    )
    plain = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    if arrow["says"]:
        ax.text(
            (start + end) / 2,
            (y + to_y) / 2,
            arrow["says"],
            color=INK,
            bbox=plain,
            **_text(ax, 7.5),
        )
