"""A student's function or class in place of one of a service's own.

`originals` finds what a target names, `checks` reads the student's source without running it, `sources` gets the
source of a function from a cell, and `explanation` reads from a service's log why it did not start. The source runs
in the service alone: `microservices/kit/replacement.py` exchanges the definition there.
"""

import hashlib
import json
from dataclasses import dataclass

MOST_BYTES = 65_536
"""Most bytes of the variable `REPLACED`, which holds the source; the services have the same limit."""


@dataclass(frozen=True)
class Replacement:
    """A checked source that stands for the definition `name` of a module, which a student calls `target`."""

    target: str
    module: str
    name: str
    source: str

    @property
    def sha256(self) -> str:
        """The first 12 digits of the source's SHA-256."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:12]

    @property
    def label(self) -> str:
        """The target and the source's hash, as tables and records show them."""
        return f"{self.target} {self.sha256}"

    @property
    def short(self) -> str:
        """The name as the student's source has it: `is_failure`."""
        return self.name.rpartition(".")[2]

    def variable(self) -> str:
        """Return the value of `REPLACED` for the service."""
        content = {"module": self.module, "name": self.name, "source": self.source}
        return json.dumps(content, ensure_ascii=False)
