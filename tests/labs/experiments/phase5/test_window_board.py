"""The board of windows: what a person reads while they fill."""

from typing import Any

from labs.experiments.phase5.window_board import ROWS, WIDTH, WindowBoard, board


def window(second: int, orders: int, *, late: int = 0, closed: bool = False) -> dict[str, Any]:
    start = f"2026-11-27T10:00:{second:02}.000Z"
    return {"start": start, "orders": orders, "revenue": 1234.5, "late": late, "closed": closed}


def test_a_window_shows_its_orders_and_whether_it_is_closed() -> None:
    windows = [window(0, 4, late=3, closed=True), window(2, 2)]
    html = board({"watermark": "2026-11-27T10:00:02.500Z", "windows": windows})
    assert html.count("<tr>") == 3
    assert f"width:{WIDTH}px" in html
    assert f"width:{WIDTH // 2}px" in html
    assert html.index(">closed<") < html.index(">open<")
    assert html.count(">3</b>") == 1
    assert "1,234.50" in html
    assert "Watermark: 10:00:02.500<" in html


def test_only_the_newest_windows_are_shown() -> None:
    windows = [window(n, 1) for n in range(ROWS + 3)]
    html = board({"watermark": None, "windows": windows})
    assert html.count("<tr>") == ROWS + 1
    assert "10:00:02.000" not in html
    assert "Watermark: none yet" in html


def test_a_view_without_windows_has_a_board() -> None:
    assert board({"watermark": None, "windows": []}).count("<tr>") == 1


def test_outside_of_a_notebook_nothing_is_shown() -> None:
    WindowBoard().show({"watermark": None, "windows": []})
