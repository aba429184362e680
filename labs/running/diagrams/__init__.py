"""The diagrams of the handbook: each public function of a chapter's module draws the one of its name.

`python -m labs.running.diagrams` writes them all to `handbook/figures/`; a test compares.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules

from labs.machine import ROOT
from labs.running.diagrams.drawing import Drawing

FIGURES = ROOT / "handbook" / "figures"


def diagrams() -> dict[str, Callable[[], Drawing]]:
    """Return the function of each diagram by the name of its file, without `.svg`."""
    modules = [
        import_module(f"{__name__}.{found.name}")
        for found in iter_modules(__path__)
        if found.name not in ("drawing", "__main__")
    ]
    return {
        name: function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
