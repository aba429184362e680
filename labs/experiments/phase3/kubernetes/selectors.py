"""Selectors: which Pods a selector chooses, and which peers a rule of a NetworkPolicy admits."""

from collections.abc import Mapping
from typing import Any

from environment.errors import DescriptionError
from labs.experiments.phase3.kubernetes.pod import Labels


def has_labels(labels: Labels, wanted: Labels) -> bool:
    """Return whether all wanted labels are among these."""
    return wanted.items() <= labels.items()


def selects(selector: Mapping[str, Any], labels: Labels) -> bool:
    """Return whether a selector chooses a Pod with these labels.

    Raises:
        DescriptionError: It selects by something else than `matchLabels`.
    """
    if set(selector) - {"matchLabels"}:
        raise DescriptionError(f"a selector by {sorted(selector)}: only matchLabels are read here")
    return has_labels(labels, selector.get("matchLabels", {}))


def admits(
    rule: Mapping[str, Any], namespace: Labels | None, peer: Labels, port: tuple[str, int]
) -> bool:
    """Return whether one rule allows a peer (`namespace` None is our own) at a (protocol, port)."""
    ports = [(each["protocol"], each["port"]) for each in rule.get("ports", ())]
    peers = rule.get("from") or rule.get("to") or ()
    return (not ports or port in ports) and (
        not peers or any(_matches(each, namespace, peer) for each in peers)
    )


def _matches(allowed: Mapping[str, Any], namespace: Labels | None, peer: Labels) -> bool:
    if unknown := set(allowed) - {"podSelector", "namespaceSelector"}:
        raise DescriptionError(f"a peer by {sorted(unknown)}: only selectors are read here")
    if ("namespaceSelector" in allowed) != (namespace is not None):
        return False
    own = namespace is None or selects(allowed["namespaceSelector"], namespace)
    return own and selects(allowed.get("podSelector", {}), peer)
