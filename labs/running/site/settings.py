"""The settings of Sphinx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

STATIC = Path(__file__).resolve().parent / "static"
PROJECT = "Microservices Lab"


def settings(repository: str = "") -> dict[str, Any]:
    """Return the settings with which Sphinx builds the handbook.

    Nothing in them needs a network, and no page asks for anything from elsewhere.
    """
    return {
        "project": PROJECT,
        "author": "The Microservices Lab authors",
        "copyright": "The Microservices Lab authors, CC BY 4.0",
        "language": "en",
        "extensions": ["myst_parser", "sphinx_design", "labs.running.site.maths"],
        "myst_enable_extensions": ["colon_fence", "deflist", "dollarmath", "attrs_inline"],
        "myst_heading_anchors": 4,
        "myst_disable_syntax": ["myst_line_comment"],  # a line that begins with % is text
        "exclude_patterns": ["_*", "**/.*"],
        "nitpicky": True,
        "smartquotes": False,
        # Shell transcripts and JSON with comments are shown as they are.
        "suppress_warnings": ["misc.highlighting_failure"],
        "html_theme": "sphinx_book_theme",
        "html_title": PROJECT,
        "html_static_path": [str(STATIC)],
        "html_css_files": ["handbook.css"],
        "html_math_renderer": "mathml",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_show_sphinx": False,
        "html_last_updated_fmt": None,
        "html_permalinks_icon": "#",
        "html_theme_options": {
            "home_page_in_toc": True,
            "navbar_persistent": [],
            "show_navbar_depth": 1,
            "show_toc_level": 2,
            "use_download_button": False,
            "use_fullscreen_button": False,
            "pygments_light_style": "a11y-light",
            "pygments_dark_style": "a11y-dark",
            "search_bar_text": "Search the handbook",
        },
    }
