"""The diagrams of the labs, drawn without a browser."""

import re
import xml.etree.ElementTree as ET

import pytest

from labs.running.notebooks import all_labs
from labs.running.outputs import read
from labs.running.site.mermaid import MermaidError, draw

FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DIAGRAMS = [
    source
    for lab in all_labs().values()
    for cell in read(lab.path).cells
    for source in FENCE.findall(cell.source)
]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).findall(".//{*}text")]


@pytest.mark.parametrize("source", DIAGRAMS)
def test_every_diagram_of_the_labs_can_be_drawn(source: str) -> None:
    svg, title = draw(source)
    root = ET.fromstring(svg)
    width, height = float(root.get("width")), float(root.get("height"))
    shown = " ".join(texts(svg))
    for text in re.findall(r"\[\"?([\w-]+)", source):
        assert text in shown
    for box in root.findall(".//{*}rect"):
        left, top = float(box.get("x", 0)), float(box.get("y", 0))
        assert 0 <= left <= left + float(box.get("width")) <= width
        assert 0 <= top <= top + float(box.get("height")) <= height
    assert title.startswith("A diagram")


def test_a_chart_goes_from_left_to_right_and_back() -> None:
    svg, title = draw(
        'flowchart LR\n a([one]) -->|"asks, twice"| b[two] -.-> c[(three)]\n c --> b & a\n b --- d'
    )
    assert title == (
        "A diagram: one to two (asks, twice); two to three; three to two; three to one; two to d."
    )
    places = {
        element.text: float(element.get("x") or 0)
        for element in ET.fromstring(svg).findall(".//{*}text")
    }
    assert places["one"] < places["two"] < places["three"]
    assert svg.count("stroke-dasharray") == 1


def test_a_sequence_is_told_in_the_order_of_time() -> None:
    source = "sequenceDiagram\nparticipant A as client\nparticipant B\nA->>B: GET\nB-->>A: 7\nNote over A: done"
    svg, title = draw(source)
    assert (
        title == "A diagram, in the order of time: client to B: GET; B to client: 7; client: done."
    )
    assert texts(svg) == ["client", "B", "GET", "7", "done"]


@pytest.mark.parametrize(
    "source", ["pie\n 1", "flowchart LR\n a ==> b", "sequenceDiagram\n loop", "stateDiagram-v2\n x"]
)
def test_what_cannot_be_drawn_is_an_error(source: str) -> None:
    with pytest.raises(MermaidError):
        draw(source)
