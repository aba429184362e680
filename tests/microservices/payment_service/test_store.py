from sqlalchemy import create_engine, event

from microservices.payment_service import store


def test_the_charge_of_an_order_is_found_by_index() -> None:
    asked: list[str] = []
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        store.create_tables(connection)
        store.charge_once(connection, "order-1", 1999)
        event.listen(engine, "before_cursor_execute", lambda *ran: asked.append(ran[2]))
        assert store.find_charge(connection, "order-1")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked[0]}", ("order-1",))
        assert [row.detail.partition(" ")[0] for row in plan] == ["SEARCH"]
