"""The system as Kubernetes objects: manifests to read and to apply, and what holds them to docker-compose.yml.

`base/` is the system of phase 2, `overlays/laptop/` what differs on one machine, `kafka/` belongs to phase 4. Nothing
here needs a cluster: manifests are read, validated against Kubernetes' schemas, and compared with the description.
"""

from environment.kubernetes.agreement import disagreements
from environment.kubernetes.cluster import Cluster, Pod
from environment.kubernetes.manifests import (
    BASE,
    KAFKA,
    LAPTOP,
    Manifest,
    explained,
    read_manifests,
    title,
)
from environment.kubernetes.schemas import VERSIONS, schema_problem

__all__ = [
    "BASE",
    "KAFKA",
    "LAPTOP",
    "VERSIONS",
    "Cluster",
    "Manifest",
    "Pod",
    "disagreements",
    "explained",
    "read_manifests",
    "schema_problem",
    "title",
]
