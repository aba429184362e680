"""The Kubernetes verdict against wrong manifests: a copy with one wrong port must be seen to fail."""

import shutil
from pathlib import Path
from types import SimpleNamespace

from labs.experiments.phase3 import kubernetes_objects
from labs.experiments.phase3.kubernetes import BASE
from labs.verdicts import Outcome, Verdict


def judged(folder: Path) -> Verdict:
    """As the lab's own cells do it."""
    prediction = kubernetes_objects.predict(3, requests=600)
    samples = kubernetes_objects.measure(
        SimpleNamespace(seed=7),  # type: ignore[arg-type]
        pods=3,
        requests=600,
        folder=folder,
    )
    return kubernetes_objects.judge(samples, prediction)


def test_one_wrong_port_fails(tmp_path: Path) -> None:
    folder = shutil.copytree(BASE, tmp_path / "base")
    users = folder / "user-service.yaml"
    text = users.read_text()
    assert text.count("port: 3001, targetPort") == 1
    users.write_text(text.replace("port: 3001, targetPort", "port: 3010, targetPort"))
    verdict = judged(folder)
    assert verdict.outcome is Outcome.FAIL
    assert any(reason.startswith("docker-compose.yml: user-service") for reason in verdict.reasons)
