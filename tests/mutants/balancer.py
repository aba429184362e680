"""Wrong balancers: the real system, in which one option that an experiment asks for never reaches nginx."""

from typing import Any, Self

from environment import Environment


class Forgetful(Environment):
    """`balance` as it would be if it put `instead` in the place of what was asked for."""

    instead: dict[str, Any]

    def balance(self, algorithm: Any, service: str | None = None, **options: Any) -> Self:
        asked = {"algorithm": algorithm} | options | self.instead
        return super().balance(asked.pop("algorithm"), service, **asked)
