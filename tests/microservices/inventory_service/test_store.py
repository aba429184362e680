"""The shelf: it never gives more than it has, and a restart gives nothing twice."""

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from microservices.inventory_service import store
from microservices.kit.items import Item


@pytest.fixture
def connection(transaction: Connection) -> Connection:
    store.create_tables(transaction, {"a": 5, "b": 1})
    return transaction


def shelf(connection: Connection) -> dict[str, tuple[int, int]]:
    return {row.product_id: (row.on_hand, row.reserved) for row in store.shelf(connection)}


def test_lines_of_one_product_add_up() -> None:
    lines = [("a", 2), ("b", 1), ("a", 3)]
    wire = [{"productId": name, "quantity": n, "price": 1} for name, n in lines]
    items = [Item.model_validate(each) for each in wire]
    assert store.quantities(items) == {"a": 5, "b": 1}


def test_reserved_items_are_sold_or_put_back(connection: Connection) -> None:
    store.reserve(connection, "order-1", {"a": 2, "b": 1})
    store.reserve(connection, "order-2", {"a": 3})
    assert shelf(connection) == {"a": (5, 5), "b": (1, 1)}
    store.sell(connection, "order-1")
    store.release(connection, "order-2")
    assert shelf(connection) == {"a": (3, 0), "b": (0, 0)}


def test_what_is_missing_is_named(connection: Connection) -> None:
    assert store.missing(connection, {"a": 5, "b": 1}) is None
    assert store.missing(connection, {"a": 6}) == "6 of a were ordered, 5 are left"
    assert store.missing(connection, {"c": 1}) == "there is no product c"


def test_the_database_refuses_to_give_too_much(connection: Connection) -> None:
    with pytest.raises(IntegrityError):
        store.reserve(connection, "order-1", {"a": 6})


def test_a_restart_keeps_the_shelf(connection: Connection) -> None:
    store.reserve(connection, "order-1", {"a": 2})
    store.sell(connection, "order-1")
    store.create_tables(connection, {"a": 5, "b": 1})
    assert shelf(connection) == {"a": (3, 0), "b": (1, 0)}


def test_a_changed_stock_adds_its_difference(connection: Connection) -> None:
    store.reserve(connection, "order-1", {"a": 2})
    store.create_tables(connection, {"a": 9, "b": 0, "c": 7})
    assert shelf(connection) == {"a": (9, 2), "b": (0, 0), "c": (7, 0)}


def test_less_stock_leaves_what_is_reserved(connection: Connection) -> None:
    store.reserve(connection, "order-1", {"a": 2})
    store.create_tables(connection, {"a": 0})
    assert shelf(connection)["a"] == (2, 2)
