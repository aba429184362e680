"""The Debian mirror that this machine already uses, read from its apt configuration.

This project holds no address of a mirror: the host decides what is reachable, allowed and near.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True)
class Mirror:
    """A mirror's address and the keyring file that signs it (None: Debian's own)."""

    url: str
    keyring: str | None = None


def debian_mirror(*, apt: Path = APT, os_release: Path = OS_RELEASE) -> Mirror | None:
    """Return the mirror of Debian's main archive, or None when this is no Debian or names none over http(s)."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _text(os_release), re.MULTILINE))
    if release.get("ID") != "debian":
        return None
    for entry in _entries(apt):
        suites = set(entry.get("suites", "").split())
        keyring = entry.get("signed-by", "")
        if (
            "deb" in entry.get("types", "").split()
            and entry.get("enabled", "yes") != "no"
            and suites & {release.get("VERSION_CODENAME", ""), "stable", "testing", "sid"}
            and "main" in entry.get("components", "").split()
            # Third parties sign with keys of their own.
            and (not keyring or "debian-archive" in keyring)
        ):
            for url in entry.get("uris", "").split():
                if url.startswith(("http://", "https://")):
                    return Mirror(url.rstrip("/"), keyring if keyring.startswith("/") else None)
    return None


def _entries(apt: Path) -> Iterator[dict[str, str]]:
    """Yield every source as a map with the field names of the deb822 format, the system's own files first."""
    parts = apt / "sources.list.d"
    lists = [apt / "sources.list", *sorted(parts.glob("*.list"))]
    for path in [parts / "debian.sources", *sorted(parts.glob("*.sources"))]:
        for paragraph in re.split(r"\n\s*\n", _text(path)):
            lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
            # A line that begins with a space goes on with the field above it.
            joined = re.sub(r"\n\s+", " ", "\n".join(lines))
            yield {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in joined.splitlines())
            }
    for path in lists:
        for line in _text(path).splitlines():
            if match := re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line):
                options, url, suite, components = match.groups()
                signed = re.search(r"signed-by=(\S+)", options or "")
                yield {
                    "types": "deb",
                    "uris": url,
                    "suites": suite,
                    "components": components,
                    "signed-by": signed[1] if signed else "",
                }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
