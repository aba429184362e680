"""A small clone with a book of a few pages, one listing and two labs; and the same with one fault of each kind."""

from collections.abc import Mapping
from pathlib import Path

import nbformat

_FILES = {
    "handbook/index.md": """# Book

[One](one.md), [Two](two.md), the [lab](../labs/phase3_lab.ipynb).

```{toctree}
:caption: Part

one
two
The lab <labs/phase3_lab>
labs/phase4_other
glossary
```
""",
    "handbook/one.md": """# Independence

{{MORE}}

Predict it. A {term}`replica` is late for $T = \\frac{1}{2} s$ seconds.
With $n = 3$ s and $n$, it is late for 20 ms, which `sleep 20 s` does not show.

$$ T \\le \\sum_i t_i $$

```{experiment} distribution
```

Look at it. A share of a wrapped line is 44
% and no comment. The busiest replica got {measured}`busiest` of the requests.

```{experiment} canary
```

```{findings} distribution, canary
```

```{literalinclude} ../microservices/double.py
:pyobject: double
```

It stands in [double.py](../microservices/double.py), which [a text](../TEXT.md) explains.
See [a folder](../microservices), the [lab](../labs/phase3_lab.ipynb) and [a place](two.md#a-place).

![What the picture shows.](figures/picture.svg)

<!-- made: table -->

| a | b |
|---|---|
| 1 | 2 |

<!-- end -->

:::{dropdown} Answer

Forty-two.
:::
""",
    "handbook/two.md": """# Another

## A place

An old one: {measured}`old`.
""",
    "handbook/glossary.md": """# Glossary

```{glossary}
replica
  One running copy of a service.
```
""",
    "handbook/figures/picture.svg": '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "handbook/numbers/sample.yaml": """
busiest: {experiment: distribution, column: replica == 1, statistic: share, scale: 100, unit: "%",
          digits: 0, holds: [10, 90]}
old: {experiment: canary, column: seconds, statistic: median, unit: ms, holds: [1, 10]}
""",
    "handbook/numbers/reference.json": """{"old": {"value": 7.5, "low": 7.0, "high": 8.0, "samples": 10,
 "cpu": "A processor", "cores": 4, "runtime": "docker", "profile": "full", "started": "2026-05-03T10:00:00+00:00"}}
""",
    "TEXT.md": "# A text outside the book\n",
    "microservices/double.py": '''"""A listing."""


def double(amount: int) -> int:
    return amount * 2


def not_shown() -> None:
    pass
''',
}

_LAB = [
    "# A lab\n\nSee [One](../handbook/one.md).",
    "run.keep(distribution, a, b)",
    "run.keep(canary, a, b)",
]
_OTHER = ["# Another lab\n\n```mermaid\nflowchart LR\n    you([client]) -->|asks| nginx\n```"]

BROKEN = {
    "handbook/one.md": _FILES["handbook/one.md"].replace(
        "{{MORE}}",
        """[gone](../microservices/missing.py) [out](../../outside.txt) [nowhere](nowhere.md)
[place](two.md#no-such-place)
![picture](figures/no-such-picture.svg) ![](figures/picture.svg) {term}`unexplained` {measured}`undefined`
{measured}`too_high`
{measured}`unmeasured` {measured}`wrong_column` {measured}`wrong_rows` $\\frac{1$ $\\unheard x$

```{experiment} unheard
```

```{experiment} distribution
```

```{literalinclude} ../microservices/double.py
:pyobject: no_such_function
```

```{literalinclude} ../microservices/gone.py
```

```python
typed = True
```
""",
    ),
    "handbook/alone.md": "# Alone\n",
    "handbook/numbers/sample.yaml": """
busiest: {experiment: distribution, column: replica == 1, statistic: share, scale: 100, unit: "%", holds: [10, 90]}
too_high: {experiment: distribution, column: replica == 1, rows: "case == 'ip_hash'", statistic: share, scale: 100,
           unit: "%", digits: 0, holds: [60, 70]}
old: {experiment: canary, column: seconds, statistic: median, unit: ms, holds: [100, 200]}
unused: {experiment: distribution, statistic: count, holds: [0, 1000]}
unmeasured: {experiment: canary, column: seconds, statistic: median, holds: [0, 1]}
wrong_column: {experiment: distribution, column: speed, statistic: mean, holds: [0, 1]}
wrong_rows: {experiment: distribution, column: replica, rows: replica > 99, statistic: mean, holds: [0, 1]}
misspelt: {experiment: distribution, colum: replica, statistic: mean, holds: [0, 1]}
unheard: {experiment: distribution, column: replica, statistic: middle, holds: [0, 1]}
elsewhere: {experiment: unheard, column: replica, statistic: mean, holds: [0, 1]}
""",
    "labs/phase3_lab.ipynb": [*_LAB, "run.keep(rolling_replacement, a, b)"],
    "labs/phase4_other.ipynb": ["# Another lab\n\n```mermaid\npie\n    1\n```"],
}


def write_book(root: Path, changes: Mapping[str, str | list[str]] | None = None) -> Path:
    """Write the clone into a folder, with other texts or cells for the files of `changes`, and return the folder."""
    labs = {"labs/phase3_lab.ipynb": _LAB, "labs/phase4_other.ipynb": _OTHER}
    for name, content in {**_FILES, **labs, **(changes or {})}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content.replace("{{MORE}}", ""))
        else:
            title = nbformat.v4.new_markdown_cell(content[0])
            cells = [nbformat.v4.new_code_cell(source) for source in content[1:]]
            nbformat.write(nbformat.v4.new_notebook(cells=[title, *cells]), path)
    return root
