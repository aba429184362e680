"""A list in pages, read as one."""

import httpx
import pytest

from labs.pages import read_all

PAGES = {
    "": ([1, 2], "a"),
    "a": ([3, 4], "b"),
    "b": ([5], None),
}


def answer(request: httpx.Request) -> httpx.Response:
    rows, following = PAGES[request.url.params.get("cursor", "")]
    headers = {"Link": f'<?cursor={following}>; rel="next"'} if following else {}
    if request.url.path == "/api/ledger":
        total = {"charges": rows, "refunds": [], "balances": {"shop": following or "last"}}
        return httpx.Response(200, json=total, headers=headers)
    return httpx.Response(200 if request.url.path == "/api/orders" else 404, json=rows)


def client() -> httpx.Client:
    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://gateway")


def test_an_answer_without_a_link_is_one_page() -> None:
    assert read_all(client(), "/api/orders") == [1, 2]


def test_lists_inside_an_object_are_joined() -> None:
    assert read_all(client(), "/api/ledger") == {
        "charges": [1, 2, 3, 4, 5],
        "refunds": [],
        "balances": {"shop": "last"},
    }


def test_an_error_raises_and_is_not_a_short_list() -> None:
    with pytest.raises(httpx.HTTPStatusError):
        read_all(client(), "/api/unknown")
