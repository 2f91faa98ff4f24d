"""Settings and requests that Jobs are made from, for property tests.

Every field is drawn from what is normal for it; a few fields at a time are drawn from what people (and YAML) come up
with instead: any text, names with a character exchanged. What the settings refuse of that is left out again, so what
is drawn is always valid, and explores how much the settings let through.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel, ValidationError

from fmdj_cloud import names
from fmdj_cloud.contracts import SHARDS_MAX, JobRequest, Kind, Limits, Stage
from fmdj_cloud.settings import KubernetesSettings, LogSettings, ProfileSettings, Settings, WorkerSettings
from fmdj_cloud.settings.kubernetes import MountSettings, Place, SpotSettings, Toleration
from fmdj_cloud.settings.storage import S3Settings, StorageSettings
from tests.support.kube.strategies_affinity import affinities
from tests.support.kube.strategies_words import (
    ANNOTATIONS,
    FOLDERS,
    IDS,
    LABEL_KEYS,
    LABEL_MAPS,
    LABEL_VALUES,
    LABELS,
    NAMES,
    REFERENCES,
    TEXTS,
    VARIABLES,
    odd_text,
)

M = TypeVar("M", bound=BaseModel)
Fields = Mapping[str, SearchStrategy[Any]]


def settled(model: type[M], values: Mapping[str, Any], odd: frozenset[str]) -> M:
    """Return a model of what it accepts of `values`: what it refuses goes, then what is odd, then all."""
    kept = dict(values)
    for dropped in (frozenset[str](), odd, frozenset(values)):
        kept = {name: value for name, value in kept.items() if name not in dropped}
        try:
            return model(**kept)
        except ValidationError as error:
            refused = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
            kept = {name: value for name, value in kept.items() if name not in refused}
            try:
                return model(**kept)
            except ValidationError:
                continue
    return model(**kept)


@st.composite
def sections(draw: st.DrawFn, model: type[M], good: Fields, odd: Fields) -> M:
    """Draw a section of settings: half of its fields or more are set, at most three of them from what is odd."""
    strange = draw(st.frozensets(st.sampled_from(sorted(odd)), max_size=3)) if odd else frozenset()
    chosen = draw(st.frozensets(st.sampled_from(sorted(good)), min_size=(len(good) + 1) // 2)) | strange
    values = {name: draw((odd if name in strange else good)[name]) for name in sorted(chosen)}
    return settled(model, values, strange)


TOLERATIONS = sections(
    Toleration,
    {
        "key": LABEL_KEYS,
        "operator": st.sampled_from(("Exists", "Equal")),
        "value": LABEL_VALUES,
        "effect": st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute", None)),
    },
    {"key": odd_text(LABEL_KEYS), "value": odd_text(LABEL_VALUES), "effect": TEXTS},
)
PLACES = sections(
    Place,
    {"node_selector": LABEL_MAPS, "tolerations": st.lists(TOLERATIONS, max_size=2)},
    {"node_selector": st.dictionaries(odd_text(LABEL_KEYS), odd_text(LABEL_VALUES), max_size=2)},
)
_IMAGES = st.sampled_from(
    ("worker", "ghcr.io/lab/worker:1.2", f"localhost:5000/lab/worker:x@sha256:{'0' * 64}", "a.b/c_d/e--f")
)
_SIZES = st.integers(64, 4096)
_CORES = st.floats(0.1, 1024)
_PROFILE: Fields = {
    "image_pull_policy": st.sampled_from(("Always", "IfNotPresent", "Never", None)),
    "image_pull_secrets": st.lists(NAMES, max_size=2),
    "cpu": _CORES,
    "cpu_limit": st.one_of(st.none(), _CORES),
    "memory_min_mib": _SIZES,
    "memory_max_mib": st.integers(4096, 2**26),
    "scratch_min_mib": _SIZES,
    "scratch_max_mib": st.integers(4096, 2**30),
    "scratch_class": st.one_of(st.none(), NAMES),
    "shm_mib": st.integers(0, 2048),
    "gpu": st.integers(0, 64),
    "gpu_resource": st.sampled_from(("nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-1g.10gb", "habana.ai/gaudi")),
    "place": PLACES,
    "spot": st.one_of(
        st.none(), sections(SpotSettings, {"spot": PLACES, "on_demand": PLACES, "disruptions": st.integers(0, 5)}, {})
    ),
    "affinity": affinities(LABEL_KEYS, LABEL_VALUES, NAMES),
    "priority_class": NAMES,
    "runtime_class": NAMES,
    "service_account": NAMES,
    "kueue_queue": LABELS,
    "labels": LABEL_MAPS,
    "annotations": ANNOTATIONS,
    "secret_env": st.dictionaries(VARIABLES, REFERENCES, max_size=3),
    "run_as_user": IDS,
    "run_as_group": st.integers(0, 2**31 - 1),
    "fs_group": IDS,
    "supplemental_groups": st.lists(IDS, max_size=3),
    "stop_grace_s": st.integers(15, 3600),
}
_NUMBERS = st.one_of(st.integers(-1, 2**70), st.floats(), st.sampled_from((2**31, 2**32, 2**63, 1e300)))
_RESERVED = st.sampled_from(
    (
        "fmdj.dev/run",
        "job-name",
        "kubernetes.io/config.mirror",
        "seccomp.security.alpha.kubernetes.io/pod",
        "container.apparmor.security.beta.kubernetes.io/worker",
        "controller.kubernetes.io/pod-deletion-cost",
        "kueue.x-k8s.io/queue-name",
    )
)
_OWN_VARIABLES = st.sampled_from(("HOME", "POD_UID", "FMDJ_WORKER", "fmdj_log", "omp_num_threads"))
_ODD_PROFILE: Fields = {
    **dict.fromkeys(("cpu", "cpu_limit", "gpu", "shm_mib", "run_as_user", "run_as_group", "fs_group"), _NUMBERS),
    **dict.fromkeys(("memory_min_mib", "memory_max_mib", "scratch_min_mib", "scratch_max_mib"), _NUMBERS),
    **dict.fromkeys(("priority_class", "runtime_class", "service_account", "scratch_class"), odd_text(NAMES)),
    "stop_grace_s": _NUMBERS,
    "supplemental_groups": st.lists(_NUMBERS, max_size=2),
    "image": odd_text(_IMAGES),
    "image_pull_secrets": st.lists(odd_text(NAMES), max_size=2),
    "gpu_resource": st.one_of(
        odd_text(st.just("nvidia.com/gpu")),
        st.builds(lambda prefix: f"{prefix}/gpu", NAMES),
        st.sampled_from(
            ("requests.nvidia.com/gpu", "kubernetes.io/gpu", "x.kubernetes.io/gpu", "cpu", "hugepages-2Mi")
        ),
    ),
    "kueue_queue": odd_text(LABELS),
    "labels": st.dictionaries(st.one_of(odd_text(LABEL_KEYS), _RESERVED), odd_text(LABEL_VALUES), max_size=2),
    "annotations": st.dictionaries(st.one_of(odd_text(LABEL_KEYS), _RESERVED), st.text(max_size=9), max_size=2),
    "secret_env": st.one_of(
        st.dictionaries(st.one_of(odd_text(VARIABLES), _OWN_VARIABLES), REFERENCES, max_size=2),
        st.dictionaries(VARIABLES, odd_text(REFERENCES), max_size=2),
    ),
    "affinity": affinities(odd_text(LABEL_KEYS), odd_text(LABEL_VALUES), odd_text(NAMES)),
    "place": st.one_of(
        st.builds(
            lambda labels: {"node_selector": labels}, st.dictionaries(odd_text(LABEL_KEYS), LABEL_VALUES, max_size=2)
        ),
        st.builds(
            lambda labels: {"node_selector": labels}, st.dictionaries(LABEL_KEYS, odd_text(LABEL_VALUES), max_size=2)
        ),
        st.builds(
            lambda key, value, operator: {"tolerations": [{"key": key, "value": value, "operator": operator}]},
            st.one_of(odd_text(LABEL_KEYS), LABEL_KEYS),
            st.one_of(odd_text(LABEL_VALUES), LABEL_VALUES),
            st.sampled_from(("Exists", "Equal")),
        ),
    ),
}


def profiles() -> SearchStrategy[ProfileSettings]:
    """Profiles; each has an image."""

    def with_image(profile: ProfileSettings, image: str) -> ProfileSettings:
        return profile if profile.image else profile.model_copy(update={"image": image})

    return st.builds(with_image, sections(ProfileSettings, _PROFILE, _ODD_PROFILE), _IMAGES)


ODD_PROFILE_FIELDS = sorted(_ODD_PROFILE)


@st.composite
def odd_profiles(draw: st.DrawFn, field: str) -> ProfileSettings | None:
    """Profiles with one field that is odd, None where the settings refuse it."""
    try:
        return ProfileSettings(**{"image": "worker", "gpu": 1, field: draw(_ODD_PROFILE[field])})
    except ValidationError:
        return None


_PATHS = FOLDERS.map(lambda folder: f"/{folder}")
_MOUNT: Fields = {
    "path": _PATHS,
    "claim": NAMES,
    "nfs_server": st.sampled_from(("nas", "10.0.0.1", "nas.lab.org", "fe80::1")),
    "nfs_path": _PATHS,
    "config_map": NAMES,
    "secret": NAMES,
    "sub_path": FOLDERS,
}
_SOURCES = (("claim",), ("nfs_server", "nfs_path"), ("config_map",), ("secret",))
_OWN_PATHS = st.sampled_from(("/tmp/", "/scratch/x", "/dev/shm", "/", "/a/../tmp", "//tmp"))


@st.composite
def mounts(draw: st.DrawFn) -> tuple[MountSettings, ...]:
    """What every worker mounts: nothing or a few volumes, one of them with an odd field now and then."""
    found = {}
    for _ in range(draw(st.integers(0, 3))):
        fields = ("path", *draw(st.sampled_from(_SOURCES)), *draw(st.sampled_from(((), ("sub_path",)))))
        values = {name: draw(_MOUNT[name]) for name in fields}
        if draw(st.booleans()):
            strange = draw(st.sampled_from(fields))
            values[strange] = draw(st.one_of(odd_text(_MOUNT[strange]), _OWN_PATHS))
        try:
            mount = MountSettings(**values, read_only=draw(st.booleans()))
        except ValidationError:
            continue
        found[mount.path] = mount
    return tuple(found.values())


@st.composite
def kubernetes_settings(draw: st.DrawFn) -> KubernetesSettings:
    """Settings with a profile of each kind or a default one, and what every worker mounts."""
    mounted = draw(mounts())
    known = draw(st.sampled_from((("default",), ("svd", "pose", "import"), ("default", "lab-1"))))
    profile = {name: draw(profiles()) for name in known}
    fields: Fields = {"job_ttl_s": st.integers(3600, 2**31 - 1), "namespace": LABELS}
    return draw(
        sections(
            KubernetesSettings,
            {"profiles": st.just(profile), "mounts": st.just(mounted), **fields},
            {"job_ttl_s": _NUMBERS, "namespace": odd_text(LABELS)},
        )
    ).model_copy(update={"profiles": profile, "mounts": mounted})


@st.composite
def settings(draw: st.DrawFn) -> Settings:
    """Settings of a controller that launches on Kubernetes."""
    s3 = sections(
        S3Settings, {"endpoint_url": st.text(max_size=20), "region": st.sampled_from(("eu-west-1", "$(X)$"))}, {}
    )
    return Settings(
        instance=draw(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)),
        kubernetes=draw(kubernetes_settings()),
        storage=StorageSettings(s3=draw(s3)),
        worker=WorkerSettings(threads=draw(st.integers(1, 64))),
        log=LogSettings(format=draw(st.sampled_from(("text", "json")))),
    )


@st.composite
def requests(draw: st.DrawFn, of: Settings) -> JobRequest:
    """Requests of attempts that a controller with these settings makes, within the bounds of their profiles."""
    kind = draw(st.sampled_from(Kind))
    name = draw(st.sampled_from(("", *of.kubernetes.profiles)))
    profile = of.kubernetes.profile_for(kind, name)[1]
    run_id = f"{kind.value}-{draw(st.integers(0, 2**64 - 1)):016x}"
    attempt = draw(st.integers(1, names.ATTEMPT_MAX))
    limits = Limits(
        time_budget_s=draw(st.floats(1, 1e9)),
        memory_mib=draw(st.integers(1, profile.memory_max_mib)),
        scratch_mib=draw(st.integers(1, profile.scratch_max_mib)),
        threads=draw(st.integers(1, 64)),
        gpu=profile.gpu,
    )
    stage = draw(st.sampled_from(Stage))
    shards = draw(st.integers(1, SHARDS_MAX)) if stage is Stage.PROJECT else 1
    return JobRequest(
        name=names.job_name(run_id, attempt, of.instance, stage),
        run_id=run_id,
        attempt=attempt,
        kind=kind,
        spec_uri=f"s3://lab/{draw(st.text('ab$() .é', min_size=1, max_size=20))}/spec.json",
        spec_sha256=f"{draw(st.integers(0, 2**256 - 1)):064x}",
        limits=limits,
        pipeline=draw(st.one_of(st.from_regex(r"[a-z][a-z0-9_]{0,23}", fullmatch=True), TEXTS)),
        task=draw(st.one_of(TEXTS, st.just("{" + "é" * 5000))),
        profile=name,
        disruptions=draw(st.integers(0, 10)),
        stage=stage,
        shards=shards,
        pods=draw(st.integers(1, shards)),
    )
