"""Checks of a submitted compensation, on SQLite: the docstring of each is the reason why it is wrong.

The service is imported by the checks alone, when the submitted function stands in it.
"""

from functools import partial
from types import ModuleType
from typing import Any

from sqlalchemy import StaticPool, create_engine

CENTS = 3998


class Shop:
    """payment-service's database, and events that it reads; the bank pays at once."""

    def __init__(self, module: ModuleType, *, orchestrated: bool = False) -> None:
        from microservices.kit.events import outbox
        from microservices.payment_service import charging, orchestration, saga
        from microservices.payment_service.settings import PaymentSettings

        self.module, self.outbox = module, outbox
        self.participant = charging.participant((orchestration if orchestrated else saga).TABLE)
        self.settings = partial(PaymentSettings, port=1)
        self.connection = create_engine("sqlite://", poolclass=StaticPool).connect()
        charging.create_tables(self.connection)
        outbox.table.create(self.connection)

    def asks(self, order: str, *, kind: str = "OrderCreated", refused: bool = False) -> None:
        """Read the event that asks for a charge."""
        from microservices.kit.items import Item

        items = [Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})]
        more = {"user_id": "user-1"} if kind == "OrderCreated" else {}
        event = self._event(kind, order_id=order, items=items, total_cents=CENTS, **more)
        settings = self.settings(payment_failure_rate=float(refused))
        self.module.take_payment(
            self.connection, event, participant=self.participant, settings=settings
        )

    def confirms(self, order: str) -> None:
        """Read that an order was confirmed."""
        event = self._event("OrderConfirmed", order_id=order)
        self.participant.receive(self.connection, event)

    def cancels(self, order: str, *, kind: str = "OrderCancelled") -> None:
        """Read an event that has the payment undone."""
        from microservices.kit.items import Item

        items = [Item.model_validate({"productId": "prod-1", "quantity": 2, "price": 19.99})]
        more: dict[str, Any] = {
            "OrderCancelled": {"reason": "no answer in time"},
            "InventoryFailed": {"reason": "sold out", "items": items},
            "RefundRequested": {},
        }[kind]
        event = self._event(kind, order_id=order, **more)
        self.module.compensate(self.connection, event, participant=self.participant)

    def pays(self) -> None:
        """Let the bank pay what is owed."""
        from microservices.payment_service import refunds

        settings = self.settings()
        while refunds.pay_due(self.connection, participant=self.participant, settings=settings):
            pass

    def state(self, order: str) -> str:
        from microservices.payment_service import charging

        return charging.state_of(self.connection, order)

    def money(self) -> tuple[int, int, int]:
        """Return what was charged, is owed, and was refunded, in cents."""
        from microservices.kit.http.pages import PageRequest
        from microservices.payment_service import ledger

        page = ledger.read_ledger(self.connection, PageRequest(), dict)
        return page.charged, page.owed, page.refunded

    def published(self) -> list[str]:
        """Return the topics of what was published."""
        return [record.topic for _, record in self.outbox.first(self.connection, 100)]

    def causes(self) -> list[Any]:
        """Return by which event each debt came about."""
        from microservices.payment_service import debts

        refunds = debts.refunds.c
        select = debts.refunds.select().with_only_columns(refunds.correlation_id, refunds.caused_by)
        return [tuple(row) for row in self.connection.execute(select)]

    def _event(self, kind: str, **data: Any) -> Any:
        from microservices.kit.events import event_types
        from microservices.kit.events.envelope import Cause, Event

        cause = Cause("click", f"{kind}-1", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
        content = getattr(event_types, kind).new(**data)
        return Event(f"{kind}-1", "2026-01-01T00:00:00Z", content, cause)


def owes_a_charge(module: ModuleType) -> None:
    """The charge of a cancelled order does not become what is owed to the customer."""
    shop = Shop(module)
    shop.asks("a")
    shop.cancels("a")
    assert (shop.state("a"), shop.money()) == ("owed", (CENTS, CENTS, 0))


def is_refunded(module: ModuleType) -> None:
    """The worker does not refund a cancelled order, or the refund is not published."""
    shop = Shop(module)
    shop.asks("a")
    shop.cancels("a")
    assert shop.published() == ["payment-completed"]
    shop.pays()
    assert (shop.state("a"), shop.money()) == ("refunded", (CENTS, 0, CENTS))
    assert shop.published() == ["payment-completed", "payment-refunded"]


def bars_an_order(module: ModuleType) -> None:
    """An order whose cancel is read first is charged when its own event is read later."""
    shop = Shop(module)
    shop.cancels("a")
    shop.asks("a")
    assert (shop.state("a"), shop.money()) == ("barred", (0, 0, 0))
    assert shop.published() == []


def bars_one_order(module: ModuleType) -> None:
    """The cancel of one order keeps another one from its charge, or undoes it."""
    shop = Shop(module)
    shop.asks("a")
    shop.cancels("b")
    shop.asks("c")
    assert [shop.state(order) for order in "abc"] == ["charged", "barred", "charged"]
    assert shop.money() == (2 * CENTS, 0, 0)


def a_second_reason(module: ModuleType) -> None:
    """A second reason to cancel an order that is owed fails, or changes what is owed."""
    shop = Shop(module)
    shop.asks("a")
    shop.cancels("a", kind="InventoryFailed")
    shop.cancels("a")
    shop.cancels("a")
    assert (shop.state("a"), shop.money()) == ("owed", (CENTS, CENTS, 0))


def after_the_refund(module: ModuleType) -> None:
    """A cancel that is read after the refund fails, or changes the order or the money again."""
    shop = Shop(module)
    shop.asks("a")
    shop.cancels("a", kind="InventoryFailed")
    shop.pays()
    shop.cancels("a")
    shop.pays()
    assert (shop.state("a"), shop.money()) == ("refunded", (CENTS, 0, CENTS))
    assert shop.published() == ["payment-completed", "payment-refunded"]


def a_second_cancel_of_a_barred_order(module: ModuleType) -> None:
    """A second cancel of an order that was not met fails, or removes the tombstone."""
    shop = Shop(module)
    shop.cancels("a", kind="InventoryFailed")
    shop.cancels("a")
    shop.asks("a")
    assert (shop.state("a"), shop.money()) == ("barred", (0, 0, 0))


def a_refused_payment(module: ModuleType) -> None:
    """The cancel of an order whose payment was refused changes its state, or owes money that nobody paid."""
    shop = Shop(module)
    shop.asks("a", refused=True)
    shop.cancels("a")
    assert (shop.state("a"), shop.money()) == ("failed", (0, 0, 0))


def a_settled_order(module: ModuleType) -> None:
    """A cancel that is read after the confirmation changes a settled order."""
    shop = Shop(module)
    shop.asks("a")
    shop.confirms("a")
    shop.cancels("a")
    assert (shop.state("a"), shop.money()) == ("settled", (CENTS, 0, 0))


def keeps_the_cause(module: ModuleType) -> None:
    """The debt does not hold the cause of the event, so that the refund belongs to no story."""
    shop = Shop(module)
    shop.asks("a")
    shop.cancels("a")
    assert shop.causes() == [("click", "OrderCancelled-1")]


def orchestrated(module: ModuleType) -> None:
    """It does not work for an orchestrator's RefundRequested."""
    shop = Shop(module, orchestrated=True)
    shop.asks("a", kind="ChargeRequested")
    for order in "ab":
        shop.cancels(order, kind="RefundRequested")
    shop.asks("b", kind="ChargeRequested")
    assert [shop.state(order) for order in "ab"] == ["owed", "barred"]
    assert shop.money() == (CENTS, CENTS, 0)


CHECKS = (
    *(owes_a_charge, is_refunded, bars_an_order, bars_one_order, a_second_reason),
    *(after_the_refund, a_second_cancel_of_a_barred_order, a_refused_payment, a_settled_order),
    *(keeps_the_cause, orchestrated),
)
