"""Users on the wire, in version 1."""

from uuid import uuid4

from microservices.kit.wire import Id, Text, WireModel

EXAMPLES = {"user-1": "Ada Lovelace", "user-2": "Grace Hopper", "user-3": "Alan Turing"}
"""The users of an empty database, by id."""


class NewUser(WireModel):
    """What a client sends to create a user."""

    name: Text


class User(NewUser):
    """A user as we answer."""

    id: Id


def new_id() -> str:
    """Return a fresh user id."""
    return str(uuid4())
