"""user-service 1: lists users and creates them."""

from fastapi import APIRouter, FastAPI, Request, Response

from microservices.kit.database import open_database
from microservices.kit.http import pages
from microservices.kit.http.app import create_app
from microservices.kit.http.strict_json import StrictRoute
from microservices.user_service import api, store
from microservices.user_service.model import NewUser, User
from microservices.user_service.settings import UserSettings
from microservices.user_service.store import users

router = APIRouter(tags=["users"], route_class=StrictRoute)


@router.get(
    "/users", response_model=list[User], responses=pages.RESPONSES, openapi_extra=pages.DESCRIBED
)
async def list_users(request: Request) -> Response:
    """List the users, in the order of creation: one page, with a `Link` to the next one."""
    return await api.answer_users(request, users, users.c.id, users.c.name)


@router.post("/users", status_code=201, response_model=User, responses=api.CREATE_PROBLEMS)
async def create_user(request: Request, new: NewUser) -> Response:
    """Create a user."""
    return await api.answer_created(request, users, new)


def build(settings: UserSettings) -> FastAPI:
    """Compose user-service 1."""
    return create_app(
        service="user-service",
        version="1",
        settings=settings,
        database=open_database("user-service", settings),
        create_tables=store.create_tables,
        routers=[router],
    )
