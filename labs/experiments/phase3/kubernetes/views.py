"""The picture of the manifests: a request's way from a client to the Pods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.patches import FancyBboxPatch, Rectangle

from labs.figures import BLUE, GREEN, INK, ORANGE, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    note = "a square: a Pod · dashed: allowed connections"
    ax.text(0.0, 0.02, note, color=SOFT, **{**_text(ax, 8.5), "ha": "left"})


def _text(ax: Axes, size: float) -> dict[str, Any]:
    return {"ha": "center", "va": "center", "size": size, "transform": ax.transAxes, "zorder": 4}


def _column(node: str) -> str:
    kind = node.partition("/")[0]
    return kind if kind in COLUMNS else "Pods"


def _places(objects: list[str], arrows: pd.DataFrame) -> Places:
    """Return each node's place: Services by the Pods they lead to, all else beside its neighbours."""
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
