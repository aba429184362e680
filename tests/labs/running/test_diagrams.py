"""The diagrams of the handbook are what their code draws."""

import xml.etree.ElementTree as ET

import pytest

from labs.running.diagrams import FIGURES, diagrams
from labs.running.site import chapters

NAMES = sorted(diagrams())


@pytest.mark.parametrize("name", NAMES)
def test_a_diagram_is_as_its_code_draws_it(name):
    drawn = diagrams()[name]().svg()
    assert (FIGURES / f"{name}.svg").read_text(encoding="utf-8") == drawn
    root = ET.fromstring(drawn)
    assert root.find("{*}title").text.endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_a_diagram_stays_inside_its_picture(name):
    root = ET.fromstring(diagrams()[name]().svg())
    width, height = float(root.get("width")), float(root.get("height"))
    for text in root.findall(".//{*}text"):
        letters = 0.52 * float(text.get("font-size")) * len(text.text or "")
        left = (
            float(text.get("x"))
            - letters * {"start": 0, "middle": 0.5, "end": 1}[text.get("text-anchor")]
        )
        assert left >= -4, text.text
        assert left + letters <= width + 4, text.text
        assert 0 <= float(text.get("y")) <= height, text.text


def test_each_diagram_is_shown_by_a_chapter():
    texts = [path.read_text(encoding="utf-8") for path in chapters().values()]
    assert [
        name for name in NAMES if not any(f"figures/{name}.svg" in text for text in texts)
    ] == []
