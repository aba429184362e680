"""Users on the wire, in version 1."""

from uuid import uuid4

from microservices.kit.wire import Id, Text, WireModel

EXAMPLES = {"user-1": "Ada Lovelace", "user-2": "Grace Hopper", "user-3": "Alan Turing"}
"""The users of an empty database, by id."""


class NewUser(WireModel):
    """A new user, as a client sends it."""

    name: Text


class User(NewUser):
    """A user, as in an answer."""

    id: Id


def new_id() -> str:
    """Return a new user id."""
    return str(uuid4())
