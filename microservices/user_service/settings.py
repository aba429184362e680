"""The settings of user-service."""

from pydantic import Field

from microservices.kit.settings import Settings


class UserSettings(Settings):
    """`USER_SECONDS`: how long the work on one new user takes, in seconds."""

    user_seconds: float = Field(default=0, ge=0, le=60, allow_inf_nan=False)
