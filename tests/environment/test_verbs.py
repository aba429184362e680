"""The verbs: each is declared once, carried out by one class, and its arguments are checked at the border."""

import inspect

import pytest

from environment.client.connection import Client
from environment.errors import LabError
from environment.supervisor.lifetime import Supervisor
from environment.supervisor.session import Session
from environment.verbs import Changing, Holder, Lifetime, Looking, all_verbs, find_verb


@pytest.mark.parametrize("name", all_verbs())
def test_each_verb_is_implemented_by_the_class_of_its_protocol(name: str) -> None:
    carrier = {Lifetime: Supervisor, Looking: Session, Changing: Session}[find_verb(name).protocol]
    declared = getattr(find_verb(name).protocol, name)
    assert getattr(carrier, name) is not declared, "only declared, not implemented"
    assert inspect.signature(getattr(carrier, name)) == inspect.signature(declared)


def test_arguments_are_taken_by_place_and_by_name() -> None:
    scale = find_verb("scale")
    expected = {"service": "user-service", "replicas": 3}
    assert scale.arguments("user-service", 3) == expected
    assert scale.arguments("user-service", replicas=3) == expected


def test_a_holder_arrives_as_it_was_sent() -> None:
    sent = {"process": 4242, "block": 3}
    assert find_verb("end_fault").arguments(holder=sent) == {"holder": Holder(4242, 3)}


def test_a_verb_with_progress_reports_it() -> None:
    assert find_verb("scale").reports
    assert not find_verb("kill").reports


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("scale", {"service": "user-service"}, r"scale\(service, replicas, reload\).*'replicas'"),
        ("scale", {"service": "user-service", "replicas": "many"}, r"replicas='many'.*integer"),
        ("scale", {"service": "user-service", "replicas": 1, "by": 2}, "'by'"),
        ("kill", {"targets": "user-service"}, "targets='user-service'"),
        ("balance", {"algorithm": "rond_robin"}, "'round_robin', 'least_conn'"),
    ],
)
def test_wrong_arguments_are_explained(
    verb: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(LabError, match=message):
        find_verb(verb).arguments(**arguments)


def test_an_unknown_verb_lists_the_verbs() -> None:
    with pytest.raises(LabError, match=r"no verb 'scal'.*Did you mean scale\?.*configure"):
        find_verb("scal")
    with pytest.raises(LabError, match="no verb 'fly'"):
        Client("none").verbs().fly()  # type: ignore[attr-defined]
