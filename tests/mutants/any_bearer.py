"""A mutant of auth: a gateway that accepts any bearer token."""

from starlette.requests import Request

from microservices.api_gateway import api
from tests.mutants.gateway import run_with

check_bearer = api.check_bearer


def check_any_bearer(request: Request, token: str, name: str) -> None:
    scheme, _, token_sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token_sent:
        check_bearer(request, token, name)


if __name__ == "__main__":
    run_with(api, "check_bearer", check_any_bearer)
