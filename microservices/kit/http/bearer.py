"""Bearer tokens: `Authorization: Bearer <token>`, compared in constant time."""

import hmac

from starlette.requests import Request

from microservices.kit.http.problem import Problem


def check_bearer(request: Request, token: str, name: str) -> None:
    """Admit only requests with `token`; `name` is its name in the problem.

    Raises:
        Problem: 401, the bearer token is missing or another one.
    """
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    # A comparison that stops at the first wrong character shows by its time how many were right.
    right = hmac.compare_digest(credentials.encode("latin-1"), token.encode())
    if scheme.lower() != "bearer" or not right:
        detail = f"needs Authorization: Bearer <the {name}>"
        raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
