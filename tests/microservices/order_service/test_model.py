from uuid import NAMESPACE_OID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from microservices.order_service.model import NewOrder, order_id
from tests.microservices.examples import new_order


def test_the_id_follows_the_formula_the_labs_predict_with() -> None:
    expected = str(uuid5(NAMESPACE_OID, "7:user-1:k1"))
    assert order_id(seed=7, user_id="user-1", key="k1") == expected


def test_without_a_key_every_id_is_new() -> None:
    assert order_id(seed=7, user_id="user-1", key=None) != order_id(
        seed=7, user_id="user-1", key=None
    )


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers())
def test_a_total_is_right_or_refused(total: float) -> None:
    body = new_order(total=total)
    if total == 39.98:
        NewOrder.model_validate(body)
    else:
        with pytest.raises(ValidationError):
            NewOrder.model_validate(body)


@pytest.mark.parametrize("user_id", ["a:b", "", " ", "a\x00", "a" * 65, "a/b", "\ud800"])
def test_an_ambiguous_user_id_is_refused(user_id: str) -> None:
    with pytest.raises(ValidationError):
        NewOrder.model_validate(new_order(userId=user_id))
