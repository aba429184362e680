"""A lease: one replica of a service holds it for a limited time, and renews it while it runs."""

import time

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, select

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
    """Take a lease, or renew it; false while another replica holds it."""
    now = time.time()
    row = connection.execute(select(table).where(table.c.name == name)).first()
    if row is None:
        values = {"name": name, "holder": holder, "until": now + LEASE_SECONDS}
        connection.execute(table.insert().values(values))
        return True
    if row.holder != holder and row.until > now:
        return False
    renewed = {"holder": holder, "until": now + LEASE_SECONDS}
    connection.execute(table.update().where(table.c.name == name).values(renewed))
    return True


def release(connection: Connection, *, name: str, holder: str) -> None:
    """End a lease that `holder` has, so that the next replica need not wait for its end."""
    held = (table.c.name == name) & (table.c.holder == holder)
    connection.execute(table.update().where(held).values(until=0))
