"""user-service 2: adds `email`, and `GET /users/{id}`.

It opens a database that version 1 made, while version 1 goes on using it: the new column may be
empty, and no statement of version 1 names it.
"""

from typing import Annotated

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import StringConstraints
from sqlalchemy import Column, Connection, MetaData, String, inspect, select, text

from microservices.kit.database import Database, open_database
from microservices.kit.http import pages
from microservices.kit.http.app import create_app
from microservices.kit.http.problem import Problem, documented
from microservices.kit.http.strict_json import StrictRoute, json_response
from microservices.kit.wire import Id, encode
from microservices.user_service import api, model, store
from microservices.user_service.settings import UserSettings

Email = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[^@\x00-\x20\x7f]+@[^@\x00-\x20\x7f]+$")
]


class NewUser(model.NewUser):
    """A new user, as a client sends it. A client of version 1 sends no `email`."""

    email: Email | None = None


class User(NewUser):
    """A user, as in an answer. `email` is null when none was given."""

    id: Id


users = store.users.to_metadata(MetaData())
users.append_column(Column("email", String(254)))

COLUMNS = (users.c.id, users.c.name, users.c.email)

router = APIRouter(tags=["users"], route_class=StrictRoute)


@router.get(
    "/users", response_model=list[User], responses=pages.RESPONSES, openapi_extra=pages.DESCRIBED
)
async def list_users(request: Request) -> Response:
    """List the users, in the order of creation: one page, with a `Link` to the next one."""
    return await api.answer_users(request, users, *COLUMNS)


@router.post("/users", status_code=201, response_model=User, responses=api.CREATE_PROBLEMS)
async def create_user(request: Request, new: NewUser) -> Response:
    """Create a user."""
    return await api.answer_created(request, users, new)


@router.get("/users/{id}", response_model=User, responses=documented(404, 422, 503))
async def get_user(request: Request, id: Id) -> Response:
    """Show one user."""
    database: Database = request.app.state.database
    row = await database.read(
        lambda connection: connection.execute(select(*COLUMNS).where(users.c.id == id)).first()
    )
    if row is None:
        raise Problem(404, f"no user {id}")
    return json_response(encode(dict(row._mapping)))


def create_tables(connection: Connection) -> None:
    """Create the tables of version 1, and add the column that they do not have."""
    store.create_tables(connection)
    if "email" not in {column["name"] for column in inspect(connection).get_columns("users")}:
        connection.execute(text("ALTER TABLE users ADD COLUMN email VARCHAR(254)"))
    for id, name in model.EXAMPLES.items():
        email = f"{name.split()[0].lower()}@example.com"
        example = (users.c.id == id) & users.c.email.is_(None)
        connection.execute(users.update().where(example).values(email=email))


def build(settings: UserSettings) -> FastAPI:
    """Compose user-service 2."""
    return create_app(
        service="user-service",
        version="2",
        settings=settings,
        database=open_database("user-service", settings),
        create_tables=create_tables,
        routers=[router],
    )
