"""What order-service 2 and later keep beside their orders: events to send, and events that were received."""

from sqlalchemy import Connection, MetaData

from microservices.kit.events.inbox import inbox_table
from microservices.kit.events.lease import leases_table
from microservices.kit.events.outbox import outbox_table
from microservices.order_service import store

metadata = MetaData()
outbox = outbox_table(metadata)
inbox = inbox_table(metadata)
leases = leases_table(metadata)


def create_tables(connection: Connection) -> None:
    """Do what version 1 does, and create what it does not have."""
    store.create_tables(connection)
    metadata.create_all(connection)
