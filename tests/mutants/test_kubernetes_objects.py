"""The Kubernetes verdict against wrong manifests: a copy with one wrong port must be seen to fail."""

import shutil
from pathlib import Path

from environment.kubernetes import BASE
from labs.experiments.kubernetes_objects import (
    judge_kubernetes_objects,
    measure_kubernetes_objects,
    predict_kubernetes_objects,
)
from labs.verdicts import Outcome, Verdict


def judged(folder: Path) -> Verdict:
    """As the lab's own cells do it."""
    prediction = predict_kubernetes_objects(3, requests=600)
    samples = measure_kubernetes_objects(folder, pods=3, requests=600, seed=7)
    return judge_kubernetes_objects(samples, prediction)


def test_one_wrong_port_fails(tmp_path: Path) -> None:
    folder = shutil.copytree(BASE, tmp_path / "base")
    users = folder / "user-service.yaml"
    text = users.read_text()
    assert text.count("port: 3001, targetPort") == 1
    users.write_text(text.replace("port: 3001, targetPort", "port: 3010, targetPort"))
    verdict = judged(folder)
    assert verdict.outcome is Outcome.FAIL
    assert any(reason.startswith("docker-compose.yml: user-service") for reason in verdict.reasons)
