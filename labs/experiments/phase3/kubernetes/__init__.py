"""The system as Kubernetes objects: manifests to read and to apply, and what holds them to docker-compose.yml.

`base/` is the system of phase 2, `overlays/laptop/` what differs on one machine, `kafka/` belongs to phase 4. Nothing
here needs a cluster: manifests are read, validated against Kubernetes' schemas, and compared with the description.
"""

from labs.experiments.phase3.kubernetes.agreement import disagreements
from labs.experiments.phase3.kubernetes.cluster import Cluster, Pod
from labs.experiments.phase3.kubernetes.manifests import (
    BASE,
    KAFKA,
    LAPTOP,
    Manifest,
    explained,
    read_manifests,
    title,
)
from labs.experiments.phase3.kubernetes.schemas import VERSIONS, schema_problem

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
