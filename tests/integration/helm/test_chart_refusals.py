"""A value that can't be right is refused by `helm lint`, before anything reaches a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
PROFILE = "settings.kubernetes.profiles.default"
WRONG = (
    "loader.replica=2",
    "loader.replicas=-1",
    "loader.replicas=two",
    "settings.controler.interval_s=5",
    "settings.controller.interval_s=0",
    "settings.controller.interval=5",
    "settings.controller.launcher=local",
    "settings.controller.trigger=some",
    "settings.instance=Lab",
    "settings.database.backend=oracle",
    "settings.database.port=70000",
    "settings.database.password=hush",
    "settings.storage.s3.secret_access_key=hush",
    "settings.storage.s3.part_size_mib=1",
    "settings.log.level=LOUD",
    "settings.serve.port=0",
    "settings.pipelines[0].name=Lab",
    "settings.pipelines[0].video_roots[0]=lab-data/raw",
    "settings.pipelines[0].processed_root=/mnt/lab",
    "settings.pipelines[0].schema=lab",
    f"{PROFILE}.image=Not an image",
    f"{PROFILE}.gpus=1",
    f"{PROFILE}.gpu=-1",
    f"{PROFILE}.gpu_resource=gpu",
    f"{PROFILE}.run_as_user=0",
    f"{PROFILE}.kueue_queue=Lab_Queue",
    f"{PROFILE}.secret_env.AWS_ACCESS_KEY_ID=hush",
    f"{PROFILE}.place.tolerations[0].effect=Sometimes",
    f"{PROFILE}.affinity.nodeAfinity.x=1",
    "settings.kubernetes.profiles.My_Profile.cpu=1",
    "settings.kubernetes.mounts[0].path=mnt",
    "settingsFromSecrets.database\\.password=hush",
    "settingsFromSecrets.controller\\.engine=a/b",
    "security.runAsUser=0",
    "images.controller.digest=sha256:123",
    "images.worker.tag=a b",
    "images.pullPolicy=Sometimes",
    "networkPolicy.objectStore.cidrs={s3.amazonaws.com}",
    "networkPolicy.objectStore.ports={0}",
    "networkPolicy.enabled=maybe",
    "controller.resources.requests.memory=lots",
    "tests.root=lab-data",
    "evaluation.objectStore.bucket=A",
    "migrate.timeout=1",
    "fullnameOverride=Lab",
)


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_value_is_refused(helm: Callable[..., Any], chart: Path, wrong: str) -> None:
    values = f"--values={chart / 'examples' / 'minimal.yaml'}"
    for which in ("helm-4", "helm-3"):
        answer = helm(which, "lint", str(chart), values, f"--set={wrong}")
        assert answer.returncode != 0, f"{which} takes {wrong}"
        assert wrong.partition("=")[0].partition(".")[0].partition("[")[0] in answer.stdout + answer.stderr


def test_evaluation_servers_for_jobs_elsewhere_are_refused(helm: Callable[..., Any], chart: Path) -> None:
    options = (f"--values={chart / 'examples' / 'evaluation.yaml'}", "--set=settings.kubernetes.namespace=elsewhere")
    for which in ("helm-4", "helm-3"):
        answer = helm(which, "template", "lab", str(chart), "--namespace=lab", *options)
        assert answer.returncode != 0
        assert "leave settings.kubernetes.namespace empty" in answer.stderr
