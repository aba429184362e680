from typing import Any

import pytest
from fastapi import APIRouter, Request, Response
from hypothesis import given
from hypothesis import strategies as st

from microservices.kit.http.problem import Problem
from microservices.kit.http.strict_json import StrictRoute, parse_json
from microservices.kit.wire import MAX_AMOUNT, WireModel, from_cents, to_cents


@given(st.integers(min_value=0, max_value=MAX_AMOUNT * 100))
def test_cents_survive_the_wire_and_back(cents: int) -> None:
    assert to_cents(from_cents(cents)) == cents


@pytest.mark.parametrize(
    "bad", [-0.01, 0.001, 19.999, MAX_AMOUNT + 1, 10**400, True, "1", None, [], float("nan")]
)
def test_what_is_no_amount_is_refused(bad: object) -> None:
    with pytest.raises(ValueError, match="should"):
        to_cents(bad)


def test_a_sum_made_with_binary_fractions_is_refused_not_rounded() -> None:
    with pytest.raises(ValueError, match="two decimals"):
        to_cents(0.1 + 0.2)


@pytest.mark.parametrize(
    "body",
    [
        b"NaN",
        b"[-Infinity]",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b"1" * 10_000,
        b"",
        b'{"a":1',
    ],
)
def test_what_python_would_accept_or_choke_on_is_a_400(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse_json(body)
    assert caught.value.status_code == 400


def test_a_whole_surrogate_pair_is_a_character() -> None:
    found: Any = parse_json(b'"\\ud83d\\ude00"')
    assert found == "\N{GRINNING FACE}"


def test_a_strict_route_refuses_parameters_it_would_not_fill() -> None:
    class Body(WireModel):
        n: int

    async def change(request: Request, body: Body, id: str) -> Response:
        raise NotImplementedError

    router = APIRouter(route_class=StrictRoute)
    with pytest.raises(TypeError, match="request and the body only"):
        router.put("/things/{id}")(change)
