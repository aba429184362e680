"""Kubernetes' own schemas, of two versions: objects are validated against them, without a cluster."""

from labs.experiments.phase3.kubernetes.manifests import Manifest

VERSIONS = ("1.35", "1.37")
"""The oldest version of Kubernetes that is maintained, and the newest."""


def schema_problem(manifest: Manifest, version: str) -> str:
    """Return why an object is invalid by that version's schema; empty when it is valid.

    Strict: an unknown field is a problem too, and so is a kind that Kubernetes does not have.
    """
    # Slow to import, and only needed here.
    from kubernetes_validate import SchemaNotFoundError, ValidationError, validate  # type: ignore[import-untyped]

    try:
        validate(manifest, version, strict=True)
    except SchemaNotFoundError:
        return f"Kubernetes {version} has no {manifest['kind']} in {manifest['apiVersion']}"
    except ValidationError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        return f"{place or 'the object'}: {error.message}"
    return ""
