import asyncio

import httpx
import pytest

from microservices.kit.http.problem import Problem
from microservices.order_service import payment


@pytest.mark.parametrize(
    ("status", "refused"), [(200, False), (201, False), (402, True), (422, True)]
)
def test_a_success_is_paid_and_a_4xx_is_a_refusal(status: int, refused: bool) -> None:
    assert (payment.verdict(httpx.Response(status)) is not None) is refused


@pytest.mark.parametrize("status", [302, 500, 503, 504])
def test_anything_else_means_we_cannot_know(status: int) -> None:
    with pytest.raises(Problem) as caught:
        payment.verdict(httpx.Response(status))
    assert caught.value.status_code == 503


def test_a_payment_that_takes_too_long_means_we_cannot_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(payment, "PAY_SECONDS", 0.05)

    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async def pay() -> None:
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(never), base_url="http://payment"
        ) as client:
            await payment.pay(client, order_id="order-1", amount=1)

    with pytest.raises(Problem, match="503"):
        asyncio.run(pay())
