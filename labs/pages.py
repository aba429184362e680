"""Pages: a whole list of a service, read page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def read_all(client: httpx.Client, url: str) -> Any:
    """Return the content of `url` and of every page that its `Link` header leads to, as one content.

    Lists are joined. Of an object, such as the ledger, each list is joined, and everything else is that of the last
    page. Raises when a response is an error or does not come.
    """
    response = client.get(url).raise_for_status()
    content = response.json()
    while link := response.links.get("next"):
        response = client.get(response.url.join(link["url"])).raise_for_status()
        content = joined(content, response.json())
    return content


def joined(content: Any, page: Any) -> Any:
    """Return what a page adds to the content of the pages before it."""
    if isinstance(page, list):
        return content + page
    return {
        name: content[name] + value if isinstance(value, list) else value
        for name, value in page.items()
    }
