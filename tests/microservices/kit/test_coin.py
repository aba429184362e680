import pytest

from microservices.kit import coin
from microservices.order_service.model import order_id


def test_the_share_is_the_digests_first_eight_bytes() -> None:
    # By hand: printf '7:order-1:payment' | sha256sum
    assert coin.share(seed=7, order_id="order-1", step="payment") == pytest.approx(0.381541337396)


def test_a_rate_of_zero_never_fails_and_of_one_always() -> None:
    ids = [f"order-{n}" for n in range(100)]
    assert not any(coin.fails(seed=7, order_id=id, step="payment", rate=0) for id in ids)
    assert all(coin.fails(seed=7, order_id=id, step="payment", rate=1) for id in ids)


def test_two_thousand_orders_end_as_the_formula_says() -> None:
    ids = [order_id(seed=7, user_id="user-1", key=f"k{n}") for n in range(2000)]
    refused = {id for id in ids if coin.fails(seed=7, order_id=id, step="payment", rate=0.3)}
    not_found = {id for id in ids if coin.fails(seed=7, order_id=id, step="inventory", rate=0.2)}
    assert len(set(ids) - refused - not_found) == 1115
    assert len(refused) == 602
    assert len(not_found - refused) == 283
