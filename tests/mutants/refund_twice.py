"""A mutant of money: a payment-service that refunds an order again when a second reason arrives.

The table alone would not do: the debt's row has the order's id, and the database refuses a second one.
"""

from microservices.kit.events.participant import Moment
from microservices.kit.saga import Step
from microservices.payment_service import charging, debts, saga, store, v3
from tests.mutants.saga_cells import change
from tests.mutants.service import run_with

AGAIN = "owed again"


def owe_again(moment: Moment) -> None:
    """Open the paid debt again, with the charge's amount once more."""
    charge = store.find_charge(moment.connection, moment.order_id)
    assert charge is not None
    debt = debts.refunds.c.order_id == moment.order_id
    more = {"amount_cents": debts.refunds.c.amount_cents + charge.amount_cents, "done_at": None}
    moment.connection.execute(debts.refunds.update().where(debt).values(more))


if __name__ == "__main__":
    refunded = saga.TABLE["owed", "refund"]
    again = {(state, "OrderCancelled"): Step(AGAIN) for state in ("owed", "refunded")}
    change(saga.TABLE, {**again, (AGAIN, "refund"): refunded})
    v3.PARTICIPANT.enter[AGAIN] = owe_again  # type: ignore[index]
    run_with("payment-service", charging, "owe", charging.owe)
