"""The system as Kubernetes objects: manifests, and their comparison with docker-compose.yml.

The files are in `environment/kubernetes/`: `base/` is the system of phase 2, `overlays/laptop/` what differs on one
machine, `kafka/` belongs to phase 4. Nothing here needs a cluster.

- `manifests.py` reads the files, `schemas.py` validates each object.
- `pod.py`, `selectors.py` and `cluster.py` work out what the objects mean together.
- `agreement.py` compares that with docker-compose.yml.
- `tables.py` lists objects and arrows, `views.py` draws them.
"""

from labs.experiments.phase3.kubernetes.agreement import disagreements
from labs.experiments.phase3.kubernetes.cluster import Cluster
from labs.experiments.phase3.kubernetes.manifests import (
    BASE,
    KAFKA,
    LAPTOP,
    Manifest,
    explained,
    read_manifests,
    title,
)
from labs.experiments.phase3.kubernetes.pod import Pod
from labs.experiments.phase3.kubernetes.schemas import VERSIONS, schema_problem
from labs.experiments.phase3.kubernetes.tables import list_arrows, list_objects

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
    "list_arrows",
    "list_objects",
    "read_manifests",
    "schema_problem",
    "title",
]
