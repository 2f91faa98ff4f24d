"""What the Job of an attempt looks like."""

from __future__ import annotations

import json

import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from fmdj_cloud.settings import LogSettings, ProfileSettings, WorkerSettings, load_settings
from fmdj_cloud.worker import compute
from tests.support.kube.assertions_words import expanded
from tests.support.kube.jobs import LIMITS, job, pod, request, settings, worker


def variables(container):
    return {each["name"]: expanded(each["value"], {}) for each in container["env"] if "value" in each}


def test_a_failed_pod_is_never_replaced():
    spec = job()["spec"]
    assert (spec["backoffLimit"], spec["completions"], spec["parallelism"]) == (0, 1, 1)
    assert spec["podReplacementPolicy"] == "Failed"
    assert {rule["action"] for rule in spec["podFailurePolicy"]["rules"]} == {"FailJob"}
    assert "activeDeadlineSeconds" not in spec  # it would count the time in the queue
    assert pod()["restartPolicy"] == "Never"


def test_ended_jobs_go_after_a_week_at_the_latest():
    assert job()["spec"]["ttlSecondsAfterFinished"] == 7 * 86400


def test_the_selector_of_the_installation_finds_job_and_pod():
    found = job()
    wanted = dict([labels.selector("fmdj").split("=")])
    for meta in (found["metadata"], found["spec"]["template"]["metadata"]):
        assert wanted.items() <= meta["labels"].items()


def test_labels_and_annotations_say_what_it_is():
    found = job()
    for meta in (found["metadata"], found["spec"]["template"]["metadata"]):
        assert {name: meta["labels"][name] for name in meta["labels"] if name.startswith("fmdj.dev/")} == {
            "fmdj.dev/instance": "fmdj",
            "fmdj.dev/run": "svd-0123456789abcdef",
            "fmdj.dev/attempt": "1",
            "fmdj.dev/kind": "svd",
            "fmdj.dev/pipeline": "lab",
            "fmdj.dev/profile": "default",
        }
        assert meta["annotations"][labels.SPEC_SHA256] == "5" * 64
        assert meta["annotations"][labels.SPEC_URI].endswith("/a1/spec.json")
        assert meta["annotations"][labels.TASK] == '{"recording_id":7,"subject":"m1"}'


def test_the_worker_is_told_its_spec_and_its_pod():
    container = worker()
    assert container["command"] == ["python", "-m", "fmdj_cloud.worker"]
    assert container["args"] == [
        "--spec",
        "s3://lab/processed/m1/facemap_0/svd-0123456789abcdef/a1/spec.json",
        "--sha256",
        "5" * 64,
        "--nonce",
        "$(POD_UID)",
        "--termination-log",
        container["terminationMessagePath"],
    ]
    assert container["env"][0] == {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}


@pytest.mark.parametrize("name", ["mouse $(POD_UID)", "$$", "a$", "$(", "$(X)$$(Y)"])
def test_a_dollar_in_a_key_arrives_as_it_is(name):
    uri = f"s3://lab/{name}/spec.json"
    assert expanded(worker(request(spec_uri=uri))["args"][1], {"POD_UID": "u"}) == uri


def test_the_worker_reads_the_controllers_settings(monkeypatch):
    told = {"worker": WorkerSettings(threads=3, max_missing_frames=5), "log": LogSettings(format="json")}
    for name, value in variables(worker(**told)).items():
        monkeypatch.setenv(name, value)
    found = load_settings()
    assert found.instance == "fmdj"
    assert found.log == told["log"]
    assert found.worker.max_missing_frames == 5
    assert str(found.worker.scratch_dir) == "/scratch"


def test_credentials_from_a_secret_complete_the_storage_settings(monkeypatch):
    profile = {
        "secret_env": {
            "FMDJ_STORAGE__S3__ACCESS_KEY_ID": "lab-s3/id",
            "FMDJ_STORAGE__S3__SECRET_ACCESS_KEY": "lab-s3/key",
        }
    }
    container = worker(profile=profile, storage={"s3": {"endpoint_url": "https://s3.lab.org"}})
    assert {
        "name": "FMDJ_STORAGE__S3__ACCESS_KEY_ID",
        "valueFrom": {"secretKeyRef": {"name": "lab-s3", "key": "id"}},
    } in container["env"]
    for name, value in {**variables(container), **dict.fromkeys(profile["secret_env"], "from the Secret")}.items():
        monkeypatch.setenv(name, value)
    s3 = load_settings().storage.s3
    assert s3.access_key_id.get_secret_value() == "from the Secret"
    assert s3.endpoint_url == "https://s3.lab.org"


def test_no_secret_of_the_controller_gets_into_a_manifest():
    found = job(
        profile={"service_account": "fmdj-worker"},
        storage={"s3": {"access_key_id": "AKIA123", "secret_access_key": "hunter2", "session_token": "hunter3"}},
        database={"host": "db", "user": "fmdj", "password": "hunter4"},
    )
    assert not [secret for secret in ("AKIA123", "hunter", '"db"', "DATABASE") if secret in json.dumps(found)]


def test_threads_are_pinned_as_the_worker_pins_them_for_its_child():
    found = variables(worker(request(limits=LIMITS.model_copy(update={"threads": 7}))))
    assert {found[name] for name in compute._THREADS} == {"7"}


def test_all_that_libraries_write_goes_to_scratch():
    found = variables(worker())
    for name in ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCH_HOME"):
        assert found[name].startswith("/scratch")


@pytest.mark.parametrize("name", [each["name"] for each in worker()["env"]])
def test_no_secret_may_take_the_place_of_a_variable_of_ours(name):
    with pytest.raises(ValueError, match=r"set by fmdj-cloud|nothing that a worker"):
        ProfileSettings(secret_env={name: "secret/key"})


def test_memory_and_scratch_are_the_plans():
    resources = worker()["resources"]
    assert resources["requests"] == {"cpu": "2", "memory": "3000Mi", "ephemeral-storage": "20512Mi"}
    assert resources["limits"] == {"memory": "3000Mi", "ephemeral-storage": "20512Mi"}
    assert {"name": "scratch", "emptyDir": {"sizeLimit": "20000Mi"}} in pod()["volumes"]


def test_a_profile_gives_more_than_the_plan_asks_for():
    profile = {"memory_min_mib": 8000, "scratch_min_mib": 40000, "cpu": 0.5, "cpu_limit": 1.5}
    resources = worker(profile=profile)["resources"]
    assert resources["requests"] == {"cpu": "500m", "memory": "8000Mi", "ephemeral-storage": "40512Mi"}
    assert resources["limits"]["cpu"] == "1500m"


def test_scratch_on_a_volume_of_its_own_isnt_the_nodes_disk():
    profile = {"scratch_class": "fast"}
    claim = pod(profile=profile)["volumes"][0]["ephemeral"]["volumeClaimTemplate"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "20000Mi"}},
    }
    assert claim["metadata"]["labels"]["fmdj.dev/instance"] == "fmdj"
    assert worker(profile=profile)["resources"]["limits"]["ephemeral-storage"] == "512Mi"


def test_shared_memory_is_there_unless_the_runtimes_own_will_do():
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "256Mi"}} in pod()["volumes"]
    assert "shm" not in [volume["name"] for volume in pod(profile={"shm_mib": 0})["volumes"]]


def test_a_gpu_stands_in_requests_and_limits_or_nowhere():
    resources = worker(request(Kind.POSE), profile={"gpu": 1, "gpu_resource": "amd.com/gpu"})["resources"]
    assert resources["requests"]["amd.com/gpu"] == resources["limits"]["amd.com/gpu"] == "1"
    assert "gpu" not in json.dumps(worker()["resources"])


def test_pods_are_restricted():
    found, container = pod(), worker()
    assert found["automountServiceAccountToken"] is False
    assert found["enableServiceLinks"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert found["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "fsGroup": 1000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_user_and_groups_are_the_profiles():
    profile = {"run_as_user": 4711, "run_as_group": 0, "fs_group": 42, "supplemental_groups": (7, 7, 8)}
    context = pod(profile=profile)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"], context["fsGroup"]) == (4711, 0, 42)
    assert context["supplementalGroups"] == [7, 8]


@pytest.mark.parametrize(("disruptions", "pool"), [(0, "spot"), (1, "spot"), (2, "steady"), (9, "steady")])
def test_the_last_attempts_avoid_spot_nodes(disruptions, pool):
    profile = {
        "place": {"node_selector": {"disk": "nvme", "pool": "any"}},
        "spot": {
            "spot": {"node_selector": {"pool": "spot"}, "tolerations": [{"key": "spot"}]},
            "on_demand": {"node_selector": {"pool": "steady"}},
            "disruptions": 2,
        },
    }
    found = pod(request(disruptions=disruptions), profile=profile)
    assert found["nodeSelector"] == {"disk": "nvme", "pool": pool}
    assert found.get("tolerations", []) == ([{"operator": "Exists", "key": "spot"}] if pool == "spot" else [])


def test_a_job_with_a_queue_waits_for_kueue():
    found = job(profile={"kueue_queue": "lab"})
    assert found["spec"]["suspend"] is True
    assert found["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "lab"
    assert "kueue.x-k8s.io/queue-name" not in found["spec"]["template"]["metadata"]["labels"]
    assert "suspend" not in job()["spec"]


def test_what_a_profile_names_stands_in_the_pod():
    profile = {
        "image_pull_policy": "Always",
        "image_pull_secrets": ("ghcr", "ghcr"),
        "priority_class": "batch",
        "runtime_class": "nvidia",
        "service_account": "worker",
        "stop_grace_s": 60,
        "labels": {"team": "vision"},
        "annotations": {"sidecar.istio.io/inject": "false"},
        "affinity": {"nodeAffinity": {}},
    }
    found = pod(profile=profile)
    assert found["imagePullSecrets"] == [{"name": "ghcr"}]
    assert (found["priorityClassName"], found["runtimeClassName"]) == ("batch", "nvidia")
    assert (found["serviceAccountName"], found["terminationGracePeriodSeconds"]) == ("worker", 60)
    assert found["affinity"] == {"nodeAffinity": {}}
    assert worker(profile=profile)["imagePullPolicy"] == "Always"
    whole = job(profile=profile)
    assert whole["metadata"]["labels"]["team"] == "vision"
    meta = whole["spec"]["template"]["metadata"]
    assert (meta["labels"]["team"], meta["annotations"]["sidecar.istio.io/inject"]) == ("vision", "false")


def test_autoscalers_leave_a_running_worker_alone():
    annotations = job()["spec"]["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["karpenter.sh/do-not-disrupt"] == "true"


def test_the_labs_volumes_are_mounted_where_it_says():
    mounts = (
        {"path": "/lab", "claim": "videos", "sub_path": "mice", "read_only": True},
        {"path": "/nas", "nfs_server": "nas", "nfs_path": "/export"},
        {"path": "/etc/lab-ca", "config_map": "ca"},
        {"path": "/keys", "secret": "keys"},
    )
    volumes, container = pod(kubernetes={"mounts": mounts})["volumes"], worker(kubernetes={"mounts": mounts})
    assert volumes[-4:] == [
        {"name": "mount-0", "persistentVolumeClaim": {"claimName": "videos"}},
        {"name": "mount-1", "nfs": {"server": "nas", "path": "/export"}},
        {"name": "mount-2", "configMap": {"name": "ca"}},
        {"name": "mount-3", "secret": {"secretName": "keys"}},
    ]
    assert container["volumeMounts"][-4:] == [
        {"name": "mount-0", "mountPath": "/lab", "subPath": "mice", "readOnly": True},
        {"name": "mount-1", "mountPath": "/nas"},
        {"name": "mount-2", "mountPath": "/etc/lab-ca", "readOnly": True},
        {"name": "mount-3", "mountPath": "/keys", "readOnly": True},
    ]


@pytest.mark.parametrize(
    ("kind", "asked", "image"),
    [(Kind.SVD, "", "cpu"), (Kind.POSE, "", "gpu"), (Kind.IMPORT, "", "any"), (Kind.SVD, "pose", "gpu")],
)
def test_the_kind_decides_the_profile_unless_one_is_asked_for(kind, asked, image):
    profiles = {"svd": {"image": "cpu"}, "pose": {"image": "gpu"}, "default": {"image": "any"}}
    assert worker(request(kind, profile=asked), kubernetes={"profiles": profiles})["image"] == image


def test_the_same_request_makes_the_same_job():
    assert job() == job()
    assert job(request(disruptions=1)) == job()


def test_a_long_key_is_shortened_to_be_read():
    task = job(request(task="x" * 300_000))["metadata"]["annotations"][labels.TASK]
    assert len(task) == 2000
    assert task.endswith("…")


def test_a_pipeline_that_is_no_label_gets_a_value_that_is():
    one, other = (job(request(pipeline=name))["metadata"]["labels"][labels.PIPELINE] for name in ("Mäuse/1", "Mäuse:1"))
    assert one.startswith("M-use-1-")
    assert one != other


def test_the_instance_is_the_one_it_is_built_for():
    found = build_job(request(), settings(), instance="other")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    assert found["metadata"]["labels"][labels.INSTANCE] == variables(container)["FMDJ_INSTANCE"] == "other"
