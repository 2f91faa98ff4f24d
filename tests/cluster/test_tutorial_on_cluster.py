"""The tutorial about a lab's cluster, followed on a real one from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster.chart import evaluation_values
from tests.support.cluster.kubectl import Kubectl
from tests.support.kube.tools import HELM, tool
from tests.support.tutorials.notebooks import CHART, free_ports, on_path, run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600), pytest.mark.usefixtures("definition")]


def test_a_lab_s_cluster_can_be_set_up_as_the_tutorial_says(
    kubectl: Kubectl, worker_image: str, tmp_path: Path
) -> None:
    # The definition of FacemapRuns is the cluster's, and not this release's: other tests need it, too
    values = [*evaluation_values(worker_image), "facemapRuns.install=false"]
    ports = free_ports(2)
    path = on_path(tmp_path / "bin", kubectl=str(kubectl.program), helm=str(tool(HELM)))
    done = run(
        "5_cluster",
        tmp_path,
        {
            "NAMESPACE": kubectl.namespace,
            "CHART": str(CHART),
            "OPTIONS": " ".join(f"--set {one}" for one in values),
            "DATABASE_PORT": ports[0],
            "STORE_PORT": ports[1],
            "FRAMES": 600,
        },
        {"r": "float(agreement)", "regions": "sorted(regions)"},
        {"PATH": path, "KUBECONFIG": str(kubectl.kubeconfig)},
        cell_s=1200,
    )

    assert done["r"] > 0.9
    assert done["regions"] == ["full frame", "motion SVD 1", "pupil 1"]
    assert done["pictures"] == 1
