"""The work of both versions on a request: they differ only in the columns they use."""

import asyncio
from typing import Any

from fastapi import Request, Response
from sqlalchemy import Column, Table

from microservices.kit.database import Database
from microservices.kit.http import pages
from microservices.kit.http.problem import documented
from microservices.kit.http.strict_json import json_response
from microservices.kit.wire import encode
from microservices.user_service import model, store
from microservices.user_service.model import NewUser

CREATE_PROBLEMS = documented(400, 413, 415, 422, 503)


async def answer_users(request: Request, table: Table, *columns: Column[Any]) -> Response:
    """Answer with these columns of the users, one page of them."""
    database: Database = request.app.state.database
    page = pages.requested_page(request)
    return pages.page_response(await database.read(store.page_of_users, page, table, *columns))


async def answer_created(request: Request, table: Table, new: NewUser) -> Response:
    """Store a new user after USER_SECONDS of work, and answer with it."""
    database: Database = request.app.state.database
    await asyncio.sleep(request.app.state.settings.user_seconds)
    user = {"id": model.new_id()} | new.model_dump()
    await database.write(store.add_user, table, user)
    return json_response(encode(user), 201)
