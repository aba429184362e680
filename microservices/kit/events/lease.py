"""A lease: one replica of a service holds it for a limited time, and renews it while it runs.

A lease spares duplicates, and no more: a holder that was frozen, and does not notice that it lost its lease, publishes
what another one published too. That is harmless, since events keep the order of their first publication, and
consumers have an inbox.
"""

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, select

from microservices.kit import clock

LEASE_SECONDS = 2.0

table = Table(
    "leases",
    MetaData(),
    Column("name", String(64), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("until", Float, nullable=False),
)
"""The leases of a service: one row for each task that only one replica may do."""


def take(connection: Connection, *, name: str, holder: str) -> bool:
    """Take a lease, or renew it; false while another holder has it. A holder that is back keeps its own at once."""
    now = clock.shared_seconds(connection)
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        values = {"name": name, "holder": holder, "until": now + LEASE_SECONDS}
        connection.execute(table.insert().values(values))
        return True
    if row.holder != holder and clock.runs(row.until, now, LEASE_SECONDS):
        return False
    renewed = {"holder": holder, "until": now + LEASE_SECONDS}
    connection.execute(table.update().where(table.c.name == name).values(renewed))
    return True


def release(connection: Connection, *, name: str, holder: str) -> None:
    """End a lease that `holder` has, so that the next replica need not wait for its end."""
    held = (table.c.name == name) & (table.c.holder == holder)
    connection.execute(table.update().where(held).values(until=0))
