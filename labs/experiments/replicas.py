"""Replicas with empty memories: the beginning of an experiment about what replicas keep in them."""

from __future__ import annotations

from environment import Environment


def reset_replicas(env: Environment, service: str, replicas: int, **settings: object) -> str:
    """Run a service as that many replicas, with these settings and empty memories.

    Returns:
        Its front door's address.
    """
    env.scale(service, 1)  # only one has to be replaced; the others begin as it is then
    env.configure(service, **settings)
    return env.scale(service, replicas).url
