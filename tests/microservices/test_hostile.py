"""Promise 8: bad input gets a 4xx problem that names what is wrong, never a 5xx."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.microservices.examples import new_order
from tests.microservices.running import Running

JSON = {"Content-Type": "application/json"}
QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**63, -(2**63) - 1, 10**30, 1e308, 5e-324])
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(st.characters(), max_size=20)  # lone surrogates and NUL too
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
items = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("productId", "quantity", "price", "x"), values)
)
orders = st.fixed_dictionaries(
    {},
    optional={
        "userId": values,
        "items": st.lists(items, max_size=3) | values,
        "total": values,
        "x": values,
    },
)


def assert_problem(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert answer.json()["detail"]


def post(running: Running, path: str, body: bytes, **headers: str) -> httpx.Response:
    return running.http.post(path, content=body, headers=JSON | headers)


@QUICK
@given(body=orders | values)
@example(body=new_order(total=float("nan")))
@example(body=new_order(userId="\ud800"))
def test_an_order_of_random_json_is_a_problem(order: Running, body: Any) -> None:
    assert_problem(post(order, "/orders", json.dumps(body).encode()))


@QUICK
@given(field=st.sampled_from(["productId", "quantity", "price"]), value=values)
def test_one_wrong_value_in_an_order_is_no_crash(order: Running, field: str, value: Any) -> None:
    body = new_order(items=[new_order()["items"][0] | {field: value}])
    answer = post(order, "/orders", json.dumps(body).encode())
    if answer.status_code != 201:
        assert_problem(answer)


@QUICK
@given(body=st.binary(max_size=200))
def test_an_order_of_random_bytes_is_a_problem(order: Running, body: bytes) -> None:
    assert_problem(post(order, "/orders", body))


@QUICK
@given(body=values)
def test_a_payment_of_random_json_is_a_problem(payment: Running, body: Any) -> None:
    answer = post(payment, "/pay", json.dumps(body).encode())
    if body != {}:
        assert_problem(answer)


@QUICK
@given(name=values)
def test_a_user_with_any_name_is_no_crash(shared: dict[str, Running], name: Any) -> None:
    for version in ("user", "user2"):
        answer = post(shared[version], "/users", json.dumps({"name": name}).encode())
        if answer.status_code != 201:
            assert_problem(answer)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"total": 1e999}, "/total"),
        ({"total": 39.99}, "items add up to 39.98"),
        ({"total": -39.98}, "/total"),
        ({"total": "39.98"}, "number"),
        ({"total": 39.980000001}, "two decimals"),
        ({"items": []}, "/items"),
        ({"items": new_order()["items"] * 101}, "/items"),
        ({"userId": 1}, "/userId"),
        ({"userId": "a\x00b"}, "/userId"),
        ({"coupon": "x"}, "/coupon"),
    ],
)
def test_a_wrong_order_is_told_what_is_wrong(order: Running, changes: Any, says: str) -> None:
    body = json.dumps(new_order(**changes)).replace("Infinity", "1e999")
    answer = post(order, "/orders", body.encode())
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", 0),
        ("quantity", -1),
        ("quantity", 10_001),
        ("quantity", 2**64),
        ("quantity", 1.0),
        ("quantity", True),
        ("quantity", "1"),
        ("price", 0),
        ("price", -1),
        ("price", 0.001),
        ("price", 1e300),
        ("price", None),
        ("productId", ""),
        ("productId", "a:b"),
    ],
)
def test_a_wrong_item_is_told_where(order: Running, field: str, value: object) -> None:
    item = new_order()["items"][0] | {field: value}
    answer = post(order, "/orders", json.dumps(new_order(items=[item])).encode())
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [f"/items/0/{field}"]


def test_deep_nesting_is_a_problem(order: Running) -> None:
    assert_problem(post(order, "/orders", b'{"items":' * 50_000))
    assert_problem(post(order, "/orders", b"[" * 900_000))


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "a\tb", "ключ"])
def test_a_bad_idempotency_key_is_a_problem(order: Running, key: str) -> None:
    answer = order.http.post(
        "/orders", json=new_order(), headers={b"Idempotency-Key": key.encode()}
    )
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["detail"]


def test_two_idempotency_keys_are_a_problem(order: Running) -> None:
    keys = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    assert order.http.post("/orders", json=new_order(), headers=keys).status_code == 400


@pytest.mark.parametrize("id", ["%00", "%ff", "%ED%A0%80", "a" * 5000, "..%2f..", "%0a", "a:b"])
def test_a_strange_id_in_a_path_is_a_problem(order: Running, id: str) -> None:
    assert_problem(order.http.get(f"/orders/{id}"))
