"""The tutorials about clusters can be followed: the chart is rendered, and installed on a fake cluster."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from fmdj_cloud.settings import DatabaseSettings, S3Settings
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.tools import HELM, KUBECTL, tool
from tests.support.tutorials import stand_in_helm, stand_in_kubectl
from tests.support.tutorials.notebooks import CHART, free_ports, on_path, run
from tests.support.tutorials.pods import Pods

pytestmark = pytest.mark.integration


def test_the_cloud_is_rendered_checked_and_paid(tmp_path: Path) -> None:
    path = on_path(tmp_path / "bin", helm=str(tool(HELM)))
    done = run(
        "6_cloud",
        tmp_path,
        {"CHART": str(CHART), "RECORDINGS": 3},
        {
            "cost": "cost",
            "queues": "queues",
            "accounts": "accounts",
        },
        {"PATH": path},
    )

    assert 0 < done["cost"]["spot"] < done["cost"]["on demand"]
    assert done["queues"] == {"default": "lab-cpu", "pose": "lab-gpu"}
    assert "fmdj-worker" in json.dumps(done["accounts"]["lab-worker"])
    for example in (CHART / "examples").glob("*.yaml"):
        assert f"fine: {example.stem}\n" in done["said"]
    assert done["pictures"] == 3


@pytest.fixture
def cluster() -> Iterator[FakeCluster]:
    with FakeCluster("default", start=dt.datetime.now(dt.UTC), secure=True) as made:
        made.go()
        yield made


def test_a_lab_s_cluster(
    cluster: FakeCluster, mariadb_settings: DatabaseSettings, s3_settings: S3Settings, tmp_path: Path
) -> None:
    """The fake cluster in place of a real one: its pods, the real programs and a real worker, run on this machine."""
    prefix, password, bucket = "tutorial_", uuid.uuid4().hex, f"t-{uuid.uuid4().hex}"
    _make_root(mariadb_settings, password)
    _make_bucket(s3_settings, bucket)
    kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")
    programs = tmp_path / "programs"
    programs.mkdir()
    pod_file = programs / "pod.json"
    endpoint = {
        "FMDJ_STORAGE__S3__ENDPOINT_URL": s3_settings.endpoint_url or "",
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    program = endpoint | {
        "FMDJ_DATABASE__HOST": "127.0.0.1",
        "FMDJ_DATABASE__PORT": str(mariadb_settings.port),
        "FMDJ_DATABASE__PASSWORD": password,
        "FMDJ_DATABASE__USE_TLS": "false",
        "FMDJ_STORAGE__S3__ACCESS_KEY_ID": "fmdj",
        "FMDJ_STORAGE__S3__SECRET_ACCESS_KEY": password,
        "FMDJ_KUBERNETES__KUBECONFIG": str(kubeconfig),
        "FMDJ_CONTROLLER__INTERVAL_S": "0.5",
        "FMDJ_LOAD__INTERVAL_S": "0.5",
        "FMDJ_LOAD__WORKDIR": str(programs),
        "FMDJ_SERVE__PORT": "0",
        "HOME": str(programs),
    }
    ports = free_ports(2)
    pods = Pods(cluster, programs, pod_file, endpoint)
    options = {
        "evaluation.mysql.password": password,
        "evaluation.objectStore.secretKey": password,
        "evaluation.objectStore.bucket": bucket,
        "settings.database.prefix": prefix,
    }
    python = f"{sys.executable} -I"
    try:
        done = run(
            "5_cluster",
            tmp_path,
            {
                "CHART": str(CHART),
                "OPTIONS": " ".join(f"--set {name}={value}" for name, value in options.items()),
                "DATABASE_PORT": ports[0],
                "STORE_PORT": ports[1],
                "FRAMES": 300,
            },
            {"r": "float(agreement)", "regions": "sorted(regions)"},
            {
                "PATH": on_path(
                    tmp_path / "bin",
                    kubectl=f"{python} {stand_in_kubectl.__file__}",
                    helm=f"{python} {stand_in_helm.__file__}",
                ),
                "KUBECONFIG": str(kubeconfig),
                "TUTORIAL_KUBECTL": str(tool(KUBECTL)),
                "TUTORIAL_HELM": str(tool(HELM)),
                "TUTORIAL_POD": str(pod_file),
                "TUTORIAL_PROGRAM": json.dumps(program),
                "TUTORIAL_SERVICES": json.dumps(
                    {
                        "service/look-mysql": mariadb_settings.port,
                        "service/look-object-store": int((s3_settings.endpoint_url or "").rpartition(":")[2]),
                    }
                ),
            },
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{pods.logs()}") from error
    finally:
        pods.end()

    assert done["r"] > 0.9
    assert done["regions"] == ["full frame", "motion SVD 1", "pupil 1"]
    assert done["pictures"] == 1


def _make_root(settings: DatabaseSettings, password: str) -> None:
    """Let the server have the user that the chart's own has."""
    from fmdj_cloud.pipeline.database import Database

    database = Database(settings)
    database.execute(f"CREATE OR REPLACE USER 'root'@'127.0.0.1' IDENTIFIED BY '{password}'")
    database.execute("GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1'")
    database.close()


def _make_bucket(settings: S3Settings, name: str) -> None:
    from fmdj_cloud.storage.client import make_client

    client = make_client(settings)
    client.create_bucket(Bucket=name)
    client.close()
