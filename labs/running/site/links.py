"""Links from a page to a file of the clone: to the lab's page, to the file, or to its published address.

Below each listing that is included from a file stands a link to that file.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)

FILES = "files"
"""The folder of a published site that holds the files to which its pages link."""


class SourceLinks:
    """Makes the links of a page to other files than pages.

    Args:
        root: The clone.
        staged: The folder that stands for the clone while the site is built.
        published: Whether the site leaves this machine.
        repository: The address of the clone's files in a published site; empty to copy them.
    """

    def __init__(self, root: Path, staged: Path, *, published: bool, repository: str) -> None:
        self._root, self._staged = root.resolve(), staged
        self._published, self._repository = published, repository.rstrip("/")

    def relink(self, app: Sphinx, document: nodes.document) -> None:
        """Replace the links of a page that has just been read."""
        page = app.env.docname
        for node in [*document.findall(addnodes.download_reference)]:
            self._replace(app, page, node, self._path(app, page, str(node["reftarget"])))
        for unresolved in [*document.findall(addnodes.pending_xref)]:
            target = str(unresolved["reftarget"])
            if unresolved.get("reftype") != "myst" or not target:
                continue
            # MyST takes a Markdown file outside the book for a page, named by its path without its suffix.
            text = Path(f"{target}.md")
            path = self._path(app, page, target)
            if unresolved.get("refdomain") == "doc" and text.is_relative_to(self._root):
                self._replace(app, page, unresolved, self._staged / text.relative_to(self._root))
            elif unresolved.get("refdomain") is None and path.is_dir():
                self._replace(app, page, unresolved, path)
        for listing in [*document.findall(nodes.literal_block)]:
            self._name(app, page, listing)

    def _name(self, app: Sphinx, page: str, listing: nodes.literal_block) -> None:
        """Write below an included listing where it is from."""
        path = Path(str(listing.get("source", ""))).resolve()
        if path.is_file() and path.is_relative_to(self._root):
            file = path.relative_to(self._root)
            address = self._address(app, page, file)
            link = nodes.reference("", file.as_posix(), refuri=address, internal=False)
            below = nodes.paragraph("", "", link, classes=["listing"])
            listing.parent.insert(listing.parent.index(listing) + 1, below)

    def _path(self, app: Sphinx, page: str, target: str) -> Path:
        """Return the staged file to which a link of a page leads."""
        return Path(os.path.normpath((Path(app.srcdir) / page).parent / target))

    def _replace(self, app: Sphinx, page: str, node: nodes.Element, path: Path) -> None:
        if not path.is_relative_to(self._staged):
            LOGGER.warning("a link leads out of the clone: %s", node["reftarget"], location=node)
            return
        file = path.relative_to(self._staged)
        lab = f"labs/{file.stem}" if file.parent == Path("labs") and file.suffix == ".ipynb" else ""
        if lab in app.env.found_docs:
            link: nodes.Element = addnodes.pending_xref(
                "",
                *node.children,
                refdomain="doc",
                reftype="myst",
                reftarget=lab,
                reftargetid=None,
                refdoc=page,
                refexplicit=True,
            )
        else:
            uri = self._address(app, page, file)
            text = nodes.inline("", "", *node.children[0].children, classes=["source"])
            link = nodes.reference("", "", text, refuri=uri, internal=False)
        node.replace_self(link)

    def _address(self, app: Sphinx, page: str, file: Path) -> str:
        if self._published and self._repository:
            return f"{self._repository}/{file.as_posix()}"
        target = self._root / file
        if self._published:
            target = self._copy(target, Path(app.outdir) / FILES / file)
        here = (Path(app.outdir).resolve() / page).parent
        return Path(os.path.relpath(target, here)).as_posix()

    def _copy(self, file: Path, copied: Path) -> Path:
        """Copy a file into the site, as text, so that a browser shows it."""
        if file.is_dir():
            copied /= "files.txt"
            names = "\n".join(
                sorted(path.name for path in file.iterdir() if path.name[0] not in "._")
            )
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_text(f"{names}\n", encoding="utf-8")
            return copied.resolve()
        copied = copied.with_name(f"{copied.name}.txt")
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copied)
        return copied.resolve()
