"""Bearer tokens: `Authorization: Bearer <token>`, compared so that the time taken tells nothing."""

import hmac

from starlette.requests import Request

from microservices.kit.http.problem import Problem


def check_bearer(request: Request, token: str, name: str) -> None:
    """Let only the holder of `token` pass; `name` is what the problem calls it.

    Raises:
        Problem: 401, when the bearer token is missing or another one.
    """
    scheme, _, found = request.headers.get("authorization", "").partition(" ")
    # A comparison that stops at the first wrong character tells by its time how many were right.
    right = hmac.compare_digest(found.encode("latin-1"), token.encode())
    if scheme.lower() != "bearer" or not right:
        detail = f"needs Authorization: Bearer <the {name}>"
        raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
