"""The manifests as a table and a picture: what they show comes from the manifests."""

import copy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from labs.experiments.phase3.kubernetes import (
    BASE,
    LAPTOP,
    Manifest,
    list_arrows,
    list_objects,
    read_manifests,
    title,
)
from labs.experiments.phase3.kubernetes.views import draw_ways


def test_the_table_relates_every_object_to_a_measurement() -> None:
    manifests = read_manifests(BASE)
    table = list_objects(manifests)
    assert [
        f"{row.kind}/{row.name}" for row in table[["kind", "name"]].itertuples(index=False)
    ] == [title(item) for item in manifests]
    assert (table["measured"] != "").all()
    says = table.set_index(["kind", "name"])["says"]
    assert says["Service", "door-node-port"] == "NodePort: 80 to api-gateway:3000"
    assert "services.lab.test/pay to payment-service:3003" in says["Ingress", "nginx"]


def test_an_overlay_shows_in_the_table() -> None:
    base, laptop = (
        list_objects(read_manifests(folder)).set_index(["kind", "name"])
        for folder in (BASE, LAPTOP)
    )
    gateway = ("Deployment", "api-gateway")
    assert base.loc[gateway, "pods"] > laptop.loc[gateway, "pods"]
    assert laptop.loc[("Service", "door-load-balancer"), "says"].startswith("ClusterIP")


def test_arrows_lead_from_a_client_to_every_service() -> None:
    arrows = list_arrows(read_manifests(BASE))
    reached = {"client"}
    for _ in range(4):
        led = arrows[(arrows["kind"] != "may talk") & arrows["name"].isin(reached)]
        reached |= set(led["to"])
    pods = {f"Deployment/{name}-service" for name in ("user", "order", "payment")}
    assert pods | {"Deployment/api-gateway"} <= reached
    assert "StatefulSet/valkey" not in reached


def test_arrows_between_pods_are_those_the_policies_allow() -> None:
    arrows = list_arrows(read_manifests(BASE))
    talk = arrows[arrows["kind"] == "may talk"]
    calls = set(zip(talk["name"], talk["to"], strict=True))
    gateway, orders, payments = (
        f"Deployment/{name}" for name in ("api-gateway", "order-service", "payment-service")
    )
    assert calls == {
        (gateway, "Deployment/user-service"),
        (gateway, orders),
        (gateway, payments),
        (gateway, "StatefulSet/valkey"),
        (orders, payments),
    }


def drawn(manifests: list[Manifest]) -> dict[str, tuple[float, float]]:
    """Return the places of the texts in the picture."""
    axes = plt.figure().subplots()
    draw_ways(axes, list_objects(manifests), list_arrows(manifests))
    return {text.get_text(): text.get_position() for text in axes.texts}


@pytest.mark.parametrize("folder", [BASE, LAPTOP], ids=["base", "laptop"])
def test_no_two_objects_are_drawn_in_one_place(folder: Path) -> None:
    axes = plt.figure().subplots()
    manifests = read_manifests(folder)
    draw_ways(axes, list_objects(manifests), list_arrows(manifests))
    names = set(list_objects(manifests)["name"])
    places = [text.get_position() for text in axes.texts if text.get_text() in names]
    for x, y in places:
        near = [other for other in places if other[0] == x and abs(other[1] - y) < 0.1]
        assert near == [(x, y)]


def test_a_service_without_pods_is_drawn_as_such() -> None:
    manifests = copy.deepcopy(read_manifests(BASE))
    service = next(item for item in manifests if title(item) == "Service/user-service")
    service["spec"]["selector"] = {"app.kubernetes.io/name": "users"}
    assert "no Pods" in drawn(manifests)
