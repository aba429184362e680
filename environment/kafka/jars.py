"""Kafka's jars: fetched once by their Maven coordinates into the user's cache, checked against hashes at each start.

`jars.lock` lists Kafka, all it needs, and slf4j-simple for its log. After a change of `WANTED`:

    .venv/bin/python -m environment.kafka.jars > /tmp/jars.lock && mv /tmp/jars.lock environment/kafka/jars.lock
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import platformdirs

from environment.errors import LabError
from environment.outside import outside
from environment.progress import Say

LOCK = Path(__file__).with_name("jars.lock")
WANTED = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
MEGABYTES = 43  # of all jars together
_SECONDS = 20  # without a byte from the repository


class Jar(NamedTuple):
    """One line of the list."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """Return the name of its file."""
        return f"{self.artifact}-{self.version}.jar"


def listed() -> list[Jar]:
    """The jars of jars.lock."""
    return [Jar(*re.split("[: ]", line)) for line in LOCK.read_text().splitlines()]


def folder() -> Path:
    """Where this list's jars are kept, whole or not; another list has another folder."""
    key = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    return platformdirs.user_cache_path("microservices-lab") / f"kafka-{key}"


def missing() -> list[Jar]:
    """The jars that are not in the folder as the list has them; reads all of them (about 0.1 s)."""
    return [jar for jar in listed() if not _is_good(folder() / jar.name, jar)]


def download() -> str:
    """Return what the next start downloads, "45 jars, about 43 MB"; empty when all jars are here."""
    count = len(missing())
    return f"{count} jars, about {MEGABYTES * count / len(listed()):.0f} MB" if count else ""


def jars(say: Say = lambda line: None) -> Path:
    """The folder with all jars, each as listed; what is missing or damaged is fetched.

    Raises:
        LabError: when Maven's repository does not answer, or answers with something else.
    """
    kept = folder()
    if wanted := missing():
        try:
            kept.mkdir(parents=True, exist_ok=True)
            # Each time a new one: what was broken off in an earlier one would be taken for whole.
            with tempfile.TemporaryDirectory(prefix="fetching-", dir=kept) as scratch:
                say(f"downloading Kafka, once: {download()}, into {kept}")
                for number, jar in enumerate(wanted, start=1):
                    say(
                        f"downloading Kafka, about {MEGABYTES} MB: {jar.name} ({number} of {len(wanted)} jars)"
                    )
                    _fetch(jar, Path(scratch), kept / jar.name)
        except (OSError, RuntimeError) as error:  # what jgo raises
            raise LabError(
                f"{len(missing())} of Kafka's {len(listed())} jars are not here, and Maven's repository did not give "
                f"them: {error}. Try again with a network, or copy the folder {kept} from a machine where "
                "`lab up phase4 --runtime process` has run."
            ) from error
    return kept


def repository_answers(seconds: float = 3.0) -> bool:
    """Whether Maven's repository answers this machine."""
    import requests
    from jgo.maven import MavenContext

    try:
        with outside():
            for address in MavenContext().remote_repos.values():
                requests.head(address, timeout=seconds).close()
        return True
    except OSError:
        return False


def _fetch(jar: Jar, scratch: Path, path: Path) -> None:
    from jgo.maven import MavenContext, PythonResolver

    maven = MavenContext(resolver=PythonResolver(), repo_cache=scratch, timeout=_SECONDS)
    component = maven.project(jar.group, jar.artifact).at_version(jar.version)
    with outside():
        fetched = component.artifact().resolve()
    if not _is_good(fetched, jar):
        raise RuntimeError(f"{jar.name} is not the file that {LOCK.name} lists")

    os.replace(fetched, path)  # noqa: PTH105 - a download at the same time writes the same content


def _is_good(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return False


def resolved() -> Iterator[str]:
    """The lines of jars.lock, as Maven's repository resolves `WANTED` now."""
    from jgo.maven import MavenContext, PythonResolver

    with outside(), tempfile.TemporaryDirectory() as scratch:
        maven = MavenContext(resolver=PythonResolver(), repo_cache=Path(scratch), timeout=_SECONDS)
        direct, others = maven.resolver.resolve([maven.create_dependency(one) for one in WANTED])
        for one in [*direct, *others]:
            if one.scope in (None, "compile", "runtime") and not one.optional:
                artifact = one.artifact
                digest = hashlib.sha256(artifact.resolve().read_bytes()).hexdigest()
                yield f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} {digest}"


if __name__ == "__main__":
    print("\n".join(sorted(resolved())))
