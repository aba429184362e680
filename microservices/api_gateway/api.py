"""What the gateway answers itself."""

from fastapi import APIRouter, Request, Response

from microservices.kit.bearer import check_bearer
from microservices.kit.problem import documented
from microservices.kit.wire import WireModel, encode, json_response

router = APIRouter(prefix="/api", tags=["gateway"])


class Secret(WireModel):
    """What only the holder of the token gets."""

    message: str


@router.get("/secure", response_model=Secret, responses=documented(401))
async def get_secure(request: Request) -> Response:
    """Answer only ``Authorization: Bearer <AUTH_TOKEN>``."""
    check_bearer(request, request.app.state.settings.auth_token, "AUTH_TOKEN of this gateway")
    return json_response(encode({"message": "the token is right"}))
