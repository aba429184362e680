"""Manifests: Kubernetes objects read from files as `kubectl kustomize FOLDER` reads them.

A kustomization may have `resources`, a `namespace` and JSON patches; anything else is an error. With a key that is
silently ignored, the cluster would differ from the one that was checked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from environment.compose import ROOT
from environment.errors import DescriptionError

FOLDER = ROOT / "environment" / "kubernetes"
BASE, LAPTOP, KAFKA = FOLDER / "base", FOLDER / "overlays" / "laptop", FOLDER / "kafka"
CLUSTER_SCOPED = ("Namespace",)
"""Kinds here that live in no namespace."""

Manifest = dict[str, Any]
"""One object, as it stands in its file."""


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Target(_Closed):
    kind: str
    name: str


class _Patch(_Closed):
    target: _Target
    patch: str


class _Change(_Closed):
    op: Literal["replace", "remove"]
    path: str = Field(pattern=r"^/")
    value: Any = None


class _Kustomization(_Closed):
    apiVersion: Literal["kustomize.config.k8s.io/v1beta1"]
    kind: Literal["Kustomization"]
    resources: tuple[str, ...]
    namespace: str | None = None
    patches: tuple[_Patch, ...] = ()


def read_manifests(folder: Path = BASE) -> list[Manifest]:
    """Return the objects of a kustomization's folder, in the order of its resources.

    Raises:
        DescriptionError: The kustomization cannot be read; the message names the file and why.
    """
    path = folder / "kustomization.yaml"
    try:
        (content,) = _documents(path)
        wanted = _Kustomization.model_validate(content)
        manifests = [item for name in wanted.resources for item in _resource(folder / name)]
        for patch in wanted.patches:
            _apply(patch, manifests)
    except (ValidationError, ValueError, KeyError, IndexError) as error:
        raise DescriptionError(f"{path}: {error}") from error
    for manifest in manifests:
        if wanted.namespace and manifest["kind"] not in CLUSTER_SCOPED:
            manifest["metadata"]["namespace"] = wanted.namespace
    return manifests


@contextmanager
def explained() -> Iterator[None]:
    """Raise a `DescriptionError` for what a manifest lacks, wherever the lack of it shows."""
    try:
        yield
    except (LookupError, TypeError) as error:
        raise DescriptionError(
            f"A manifest lacks something that the others, or docker-compose.yml, need: {error}. "
            "Check each object against its schema (schema_problem) to see which."
        ) from error


def title(manifest: Manifest) -> str:
    """Return an object's kind and name: `Service/api-gateway`."""
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def _resource(path: Path) -> list[Manifest]:
    return read_manifests(path) if path.is_dir() else _documents(path)


def _documents(path: Path) -> list[Manifest]:
    try:
        objects = [item for item in yaml.safe_load_all(path.read_text("utf-8")) if item is not None]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DescriptionError(f"{path} cannot be read as YAML: {error}") from error
    for item in objects:
        if not isinstance(item, dict) or not item.get("kind"):
            raise DescriptionError(f"{path}: an object without a `kind`")
    return objects


def _apply(patch: _Patch, manifests: list[Manifest]) -> None:
    wanted = f"{patch.target.kind}/{patch.target.name}"
    manifest = next((item for item in manifests if title(item) == wanted), None)
    if manifest is None:
        raise ValueError(f"a patch for {wanted}, which is not among the resources")
    for change in yaml.safe_load(patch.patch):
        _change(_Change.model_validate(change), manifest)


def _change(change: _Change, manifest: Manifest) -> None:
    """Apply one operation of JSON Patch (RFC 6902); a missing place is an error, as in the standard."""
    *parents, last = [
        part.replace("~1", "/").replace("~0", "~") for part in change.path[1:].split("/")
    ]
    node: Any = manifest
    for parent in parents:
        node = node[_key(node, parent)]
    place = _key(node, last)
    node[place]  # raises where there is nothing
    if change.op == "replace":
        node[place] = change.value
    else:
        del node[place]


def _key(node: Any, part: str) -> Any:
    return int(part) if isinstance(node, list) else part
