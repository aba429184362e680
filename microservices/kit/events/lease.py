"""A lease: of all replicas of a service one has it, for a while, and renews it while it lives."""

import time

from sqlalchemy import Column, Connection, Float, MetaData, String, Table, select

LEASE_SECONDS = 2.0


def leases_table(metadata: MetaData) -> Table:
    """Declare the table of leases: one row per thing that only one shall do."""
    return Table(
        "leases",
        metadata,
        Column("name", String(64), primary_key=True),
        Column("holder", String(200), nullable=False),
        Column("until", Float, nullable=False),
    )


def take(connection: Connection, leases: Table, *, name: str, holder: str) -> bool:
    """Take a lease, or renew one's own; false while another one holds it."""
    now = time.time()
    row = connection.execute(select(leases).where(leases.c.name == name)).first()
    if row is None:
        values = {"name": name, "holder": holder, "until": now + LEASE_SECONDS}
        connection.execute(leases.insert().values(values))
        return True
    if row.holder != holder and row.until > now:
        return False
    mine = {"holder": holder, "until": now + LEASE_SECONDS}
    connection.execute(leases.update().where(leases.c.name == name).values(mine))
    return True


def give_up(connection: Connection, leases: Table, *, name: str, holder: str) -> None:
    """End one's own lease, so that the next one need not wait for its end."""
    held = (leases.c.name == name) & (leases.c.holder == holder)
    connection.execute(leases.update().where(held).values(until=0))
