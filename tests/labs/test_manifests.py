"""The manifests as a table and a picture: what they show comes from the manifests."""

from environment.kubernetes import BASE, LAPTOP, read_manifests, title
from labs.manifests import list_arrows, list_objects


def test_the_table_has_every_object_and_ties_each_to_what_was_measured() -> None:
    manifests = read_manifests(BASE)
    table = list_objects(manifests)
    assert [
        f"{row.kind}/{row.name}" for row in table[["kind", "name"]].itertuples(index=False)
    ] == [title(item) for item in manifests]
    assert (table["measured"] != "").all()
    said = table.set_index(["kind", "name"])["says"]
    assert said["Service", "door-node-port"] == "NodePort: 80 to api-gateway:3000"
    assert "services.lab.test/pay to payment-service:3003" in said["Ingress", "nginx"]


def test_an_overlay_shows_in_the_table() -> None:
    base, laptop = (
        list_objects(read_manifests(folder)).set_index(["kind", "name"])
        for folder in (BASE, LAPTOP)
    )
    gateway = ("Deployment", "api-gateway")
    assert base.loc[gateway, "pods"] > laptop.loc[gateway, "pods"]
    assert laptop.loc[("Service", "door-load-balancer"), "says"].startswith("ClusterIP")


def test_arrows_lead_from_a_client_to_every_pod_that_speaks_to_clients() -> None:
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
