"""The build of the view: a deployment with a higher number begins again, with empty tables.

A view that a wrong program made is not repaired, it is built again: the tables are emptied here, and the group is set
to the first event of each topic.
"""

from collections.abc import Iterable

from sqlalchemy import Column, Connection, Integer, MetaData, Table, select

from microservices.kit.database import insert_into

metadata = MetaData()

builds = Table(
    "builds",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
)


def begin(connection: Connection, number: int, tables: Iterable[Table]) -> None:
    """Empty `tables` when `number` is higher than that of the build they are of.

    A lower number changes nothing: it is that of a replica that is not replaced yet.
    """
    last = connection.execute(select(builds.c.number)).scalar()
    if last is None:
        connection.execute(insert_into(builds), {"id": 1, "number": number})
    elif number > last:
        for table in tables:
            connection.execute(table.delete())
        connection.execute(builds.update().values(number=number))
