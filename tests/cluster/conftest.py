"""A namespace of the cluster that KUBECONFIG names: workers from FMDJ_TEST_WORKER_IMAGE, an object store, an account.

Controller, loader and database run in and beside this process. The object store is a pod made from the worker image,
reached by ``kubectl port-forward``; FMDJ_TEST_S3_URL (http://id:secret@host:port) names one that both reach instead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from fmdj_cloud.control.kube.rights import FACEMAPRUN_RIGHTS, RIGHTS
from fmdj_cloud.demo.recordings import RecordingSpec, generate
from fmdj_cloud.settings import DatabaseSettings, S3Settings
from fmdj_cloud.storage.client import make_client
from tests.support.cluster import pod_s3
from tests.support.cluster.flows import CRD
from tests.support.cluster.forward import forwarded
from tests.support.cluster.kubectl import Json, Kubectl, any_kubectl
from tests.support.cluster.lab import ClusterLab, cluster_lab
from tests.support.cluster.pods import PULL_SECRET, pull_secrets, restricted_pod
from tests.support.cluster.site import SECRET_ENV, Site, as_account, bucket_secret

IMAGE = "FMDJ_TEST_WORKER_IMAGE"
S3_URL = "FMDJ_TEST_S3_URL"
_ACCOUNT = "fmdj-controller"
_DEFINITION = "customresourcedefinition/facemapruns.fmdj.dev"
_S3 = "fmdj-s3"
_PORT = 9000
_PATIENCE_S = float(os.environ.get("FMDJ_TEST_PATIENCE_S", "420"))
_TOKEN = "8h"


@pytest.fixture(scope="session")
def worker_image() -> str:
    """The image that workers run."""
    found = os.environ.get(IMAGE)
    if not found:
        pytest.skip(f"{IMAGE} names no worker image")
    return found


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Kubectl]:
    """Calls in a namespace of this session's own, in which only restricted pods may run."""
    name = f"fmdj-test-{uuid.uuid4().hex[:8]}"
    files = os.environ["KUBECONFIG"].split(os.pathsep)
    assert len(files) == 1, "KUBECONFIG names several files: name one"
    found = Kubectl(any_kubectl(), Path(files[0]).resolve(), name)
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    try:
        if pull := os.environ.get(PULL_SECRET):
            _copy_secret(found, *pull.split("/"))
        yield found
    finally:
        found.delete("namespace", name)


@pytest.fixture(scope="session")
def definition(kubectl: Kubectl) -> Iterator[None]:
    """The definition of FacemapRuns; one that is there already stays as it is, and stays."""
    there = kubectl.run("get", _DEFINITION, check=False).returncode == 0
    if not there:
        kubectl.run("apply", f"--filename={CRD}")
    kubectl.run("wait", _DEFINITION, "--for=condition=Established", "--timeout=60s")
    yield
    if not there:
        kubectl.run("delete", _DEFINITION, "--wait=false")


def _copy_secret(kubectl: Kubectl, namespace: str, name: str) -> None:
    (secret,) = [
        one
        for one in dataclasses.replace(kubectl, namespace=namespace).items("secrets")
        if one["metadata"]["name"] == name
    ]
    kubectl.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, **_pick(secret, "type", "data")})


def _pick(body: Json, *names: str) -> Json:
    return {name: body[name] for name in names}


@pytest.fixture(scope="session")
def stores(kubectl: Kubectl, worker_image: str) -> Iterator[tuple[S3Settings, str]]:
    """The object store as this process reaches it, and its endpoint as pods do."""
    common = {
        "region": "us-east-1",
        "addressing_style": "path",
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "part_size_mib": 5,
    }
    if url := os.environ.get(S3_URL):
        parts = urlsplit(url)
        endpoint = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        keys = {
            "access_key_id": unquote(parts.username or ""),
            "secret_access_key": unquote(parts.password or ""),
        }
        yield S3Settings(endpoint_url=endpoint, **keys, **common), endpoint
        return
    _deploy_s3(kubectl, worker_image)
    with forwarded(kubectl, f"pod/{_S3}", _PORT) as port:
        yield (
            S3Settings(endpoint_url=f"http://127.0.0.1:{port}", access_key_id="any", secret_access_key="any", **common),
            f"http://{_S3}.{kubectl.namespace}.svc:{_PORT}",
        )


def _deploy_s3(kubectl: Kubectl, image: str) -> None:
    source = Path(pod_s3.__file__).read_text()
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _S3}, "data": {"pod_s3.py": source}})
    pod = restricted_pod(
        _S3,
        image,
        ["python3", "-u", "/program/pod_s3.py", str(_PORT)],
        volumeMounts=[{"name": "program", "mountPath": "/program"}],
        readinessProbe={"tcpSocket": {"port": _PORT}, "periodSeconds": 1},
        resources={"requests": {"memory": "256Mi"}},
    )
    pod["spec"]["volumes"] = [{"name": "program", "configMap": {"name": _S3}}]
    kubectl.apply(pod)
    port = {"port": _PORT, "targetPort": _PORT}
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _S3},
            "spec": {"selector": {"app": _S3}, "ports": [port]},
        }
    )
    kubectl.run("wait", f"pod/{_S3}", "--for=condition=Ready", f"--timeout={_PATIENCE_S:.0f}s")


@pytest.fixture(scope="session")
def account(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of an account with the rights that a controller needs, in this namespace and nowhere else."""
    rules = [
        {"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]}
        for right in (*RIGHTS, *FACEMAPRUN_RIGHTS)
    ]
    subject = {"kind": "ServiceAccount", "name": _ACCOUNT, "namespace": kubectl.namespace}
    kubectl.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _ACCOUNT}})
    group = "rbac.authorization.k8s.io"
    kubectl.apply({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": _ACCOUNT}, "rules": rules})
    kubectl.apply(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": _ACCOUNT},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": _ACCOUNT},
            "subjects": [subject],
        }
    )
    token = kubectl.run("create", "token", _ACCOUNT, f"--duration={_TOKEN}").stdout.strip()
    folder = tmp_path_factory.mktemp("account")
    flat = folder / "flat.yaml"
    flat.touch(mode=0o600)
    flat.write_text(kubectl.run("config", "view", "--raw", "--flatten", "--minify").stdout)
    return as_account(flat, token, kubectl.namespace, folder / "kubeconfig.yaml")


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small recording with known truth; importing Facemap takes a worker longer than computing it."""
    spec = RecordingSpec(name="cam", width=128, height=96, nframes=(1200,))
    recording = generate(spec, tmp_path_factory.mktemp("video"))
    return recording.videos[0][0].read_bytes()


@pytest.fixture(scope="session")
def site(kubectl: Kubectl, worker_image: str, stores: tuple[S3Settings, str], account: Path, video: bytes) -> Site:
    """The namespace with all that workers need."""
    s3, endpoint = stores
    kubectl.apply(bucket_secret(s3, endpoint))
    bucket = f"fmdj-test-{uuid.uuid4().hex[:8]}"
    client = make_client(s3)
    client.create_bucket(Bucket=bucket)
    client.close()
    profile = {
        "image": worker_image,
        "image_pull_secrets": pull_secrets(),
        "cpu": 0.25,
        "secret_env": SECRET_ENV,
    }
    return Site(
        kubectl=kubectl,
        kubeconfig=account,
        profile=profile,
        s3=s3,
        bucket=bucket,
        video=video,
        patience_s=_PATIENCE_S,
        grace_s=20,
    )


@pytest.fixture(scope="session")
def database_server(postgres_settings: DatabaseSettings) -> DatabaseSettings:
    """Beside this process, like the controller: workers know no database."""
    return postgres_settings


@pytest.fixture
def lab(site: Site, database_settings: DatabaseSettings, tmp_path: Path) -> Iterator[ClusterLab]:
    """A lab with an installation of its own in the namespace."""
    with cluster_lab(site, database_settings, tmp_path / "lab", f"fmdj-{uuid.uuid4().hex[:6]}") as made:
        yield made


@pytest.fixture
def other_lab(
    site: Site, database_settings: DatabaseSettings, tmp_path: Path
) -> Iterator[Callable[[ClusterLab], ClusterLab]]:
    """Makes another release in the same namespace, with the same recordings."""
    settings = database_settings.model_copy(update={"prefix": f"{database_settings.prefix}o_"})
    with contextlib.ExitStack() as stack:
        yield lambda lab: stack.enter_context(
            cluster_lab(
                site,
                settings,
                tmp_path / "other",
                f"{lab.settings.instance}-other",
                videos=lab.settings.instance,
            )
        )
