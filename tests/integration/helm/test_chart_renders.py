"""Every example is taken by both Helms, and makes objects that Kubernetes takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.kube.strict_schemas import schema_problems

pytestmark = pytest.mark.integration
EXAMPLES = Path(__file__).parents[3] / "helm" / "fmdj-cloud" / "examples"
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
ASKED_FOR = {
    "gpu-types": "several GPU types",
    "mig": "MIG resource names",
    "taints": "taints",
    "spot": "spot pools",
    "kueue": "Kueue",
    "private-registry": "a private registry",
    "s3-private-ca": "on-prem S3 with a private CA",
    "nfs": "NFS/PVC instead of S3",
    "several-pipelines": "several pipelines",
    "minimal": "a minimal lab",
    "aws": "AWS with workload identity",
    "air-gapped": "air-gapped",
}
NOT_BUILT_IN = ("monitoring.coreos.com/",)
Json = dict[str, Any]


def test_there_is_an_example_of_everything_that_labs_have() -> None:
    assert set(ASKED_FOR) <= set(NAMES)
    for name in NAMES:
        assert (EXAMPLES / f"{name}.yaml").read_text().startswith("# "), f"{name}.yaml doesn't say what it is"


@pytest.mark.parametrize("which", ["helm-4", "helm-3"])
@pytest.mark.parametrize("name", NAMES)
def test_helm_finds_nothing_to_say(helm: Callable[..., Any], chart: Path, name: str, which: str) -> None:
    answer = helm(which, "lint", "--strict", "--quiet", str(chart), f"--values={EXAMPLES / name}.yaml")
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("name", NAMES)
def test_both_helms_make_the_same_of_it(render: Callable[..., list[Json]], name: str) -> None:
    fixed = ("--set=evaluation.mysql.password=p,evaluation.objectStore.secretKey=s",)
    new, old = (render(name, *fixed, which=which) for which in ("helm-4", "helm-3"))
    assert key_of(new) == key_of(old)


def key_of(documents: list[Json]) -> dict[tuple[str, str], Json]:
    found = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    assert len(found) == len(documents), "two objects have the same name"
    return found


@pytest.mark.parametrize("version", ["1.31", "1.32", "1.33", "1.34", "1.35", "1.36"])
def test_kubernetes_knows_every_field(documents: list[Json], version: str) -> None:
    built_in = [one for one in documents if not one["apiVersion"].startswith(NOT_BUILT_IN)]
    assert len(built_in) > 15
    problems = {f"{one['kind']} {one['metadata']['name']}": schema_problems(one, version) for one in built_in}
    assert {name: found for name, found in problems.items() if found} == {}


def test_names_and_labels_are_what_kubernetes_takes(documents: list[Json]) -> None:
    for one in documents:
        name = one["metadata"]["name"]
        assert len(name) <= (52 if one["kind"] == "CronJob" else 63), name
        for value in one["metadata"]["labels"].values():
            assert len(value) <= 63


def test_the_longest_name_of_a_release_fits(render: Callable[..., list[Json]]) -> None:
    name = "a" * 40
    names = [one["metadata"]["name"] for one in render("minimal", f"--set=fullnameOverride={name}")]
    assert max(map(len, names)) <= 63
    assert f"{name}-run-once" in names


def test_a_name_that_is_too_long_says_what_to_do(helm: Callable[..., Any], chart: Path) -> None:
    values = f"--values={EXAMPLES / 'minimal.yaml'}"
    answer = helm("helm-4", "template", "a" * 41, str(chart), values)
    assert answer.returncode != 0
    assert "set fullnameOverride" in answer.stderr


def test_an_installation_without_a_pipeline_says_what_to_do(helm: Callable[..., Any], chart: Path) -> None:
    answer = helm("helm-4", "template", "lab", str(chart))
    assert answer.returncode != 0
    assert "settings.pipelines is empty" in answer.stderr


def test_the_definition_of_facemapruns_outlives_the_release(full: list[Json], minimal: list[Json], chart: Path) -> None:
    (found,) = (one for one in full if one["kind"] == "CustomResourceDefinition")
    file = yaml.safe_load((chart / "files" / "facemapruns.fmdj.dev.yaml").read_text())
    assert found["spec"] == file["spec"]
    assert found["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert not any(one["kind"] == "CustomResourceDefinition" for one in minimal)


def test_run_once_is_a_pattern_that_never_runs_by_itself(minimal: list[Json]) -> None:
    (found,) = (one for one in minimal if one["kind"] == "CronJob")
    assert found["metadata"]["name"] == "lab-run-once"
    assert found["spec"]["suspend"] is True
    (container,) = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert [*container["command"], *container["args"]] == ["fmdj", "controller", "--once"]


def test_the_controller_is_one_and_replaced_not_doubled(minimal: list[Json]) -> None:
    controller = key_of(minimal)["Deployment", "lab-controller"]["spec"]
    assert (controller["replicas"], controller["strategy"]) == (1, {"type": "Recreate"})
    (container,) = controller["template"]["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_images_go_to_the_nodes_that_workers_may_use(render: Callable[..., list[Json]]) -> None:
    found = key_of(render("spot", "--set=prePull.enabled=true"))["DaemonSet", "lab-pre-pull-default"]
    pod = found["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "spot", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["containers"][0]["image"] == "ghcr.io/fmdj-cloud/fmdj-worker:0.1.0.dev0"


def test_images_are_pulled_where_and_as_those_of_jobs(render: Callable[..., list[Json]]) -> None:
    node = "nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0]"
    profile = "settings.kubernetes.profiles.default"
    options = (f"{profile}.affinity.{node}.key=gpu", f"{profile}.affinity.{node}.operator=Exists")
    switches = ("prePull.enabled=true", "images.pullPolicy=Always", *options)
    found = key_of(render("minimal", *(f"--set={one}" for one in switches)))["DaemonSet", "lab-pre-pull-default"]
    pod = found["spec"]["template"]["spec"]
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
    assert pod["containers"][0]["imagePullPolicy"] == "Always"


def test_notes_tell_the_next_commands_and_of_the_brake(chart: Path) -> None:
    notes = (chart / "templates" / "NOTES.txt").read_text()
    for words in ("helm test", "fmdj plan", "fmdj status", "fmdj release", "FOR A FIRST LOOK ONLY"):
        assert words in notes


@pytest.mark.parametrize(
    ("name", "hooks"),
    [("minimal", "pre-install,pre-upgrade"), ("evaluation", "post-install,post-upgrade")],
)
def test_the_ledger_is_migrated_before_all_else(render: Callable[..., list[Json]], name: str, hooks: str) -> None:
    job = key_of(render(name))["Job", "lab-migrate"]
    config = key_of(render(name))["ConfigMap", "lab-migrate"]
    for one in (job, config):
        assert one["metadata"]["annotations"]["helm.sh/hook"] == hooks
    weights = [int(one["metadata"]["annotations"]["helm.sh/hook-weight"]) for one in (config, job)]
    assert weights[0] < weights[1]
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["migrate"]


def test_what_hooks_before_an_install_need_is_there_by_then(render: Callable[..., list[Json]]) -> None:
    for name in NAMES:
        found = key_of(render(name))
        early = {key for key, one in found.items() if "pre-install" in hooks_of(one)}
        for key in early:
            if key[0] == "Job":
                pod = found[key]["spec"]["template"]["spec"]
                assert "serviceAccountName" not in pod
                maps = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
                ours = {name for kind, name in found if kind == "ConfigMap"}
                assert {("ConfigMap", one) for one in maps & ours} <= early


def test_the_schemas_of_the_test_s_recording_are_made_first(render: Callable[..., list[Json]]) -> None:
    """Else its pipeline couldn't be opened, by the migration neither."""
    (first,) = key_of(render("evaluation"))["Job", "lab-migrate"]["spec"]["template"]["spec"]["initContainers"]
    assert [*first["command"], *first["args"]] == ["fmdj", "selftest", "--prepare"]


def hooks_of(document: Json) -> str:
    return (document["metadata"].get("annotations") or {}).get("helm.sh/hook", "")


def test_before_an_uninstall_runs_are_cancelled(minimal: list[Json]) -> None:
    job = key_of(minimal)["Job", "lab-uninstall"]
    assert hooks_of(job) == "pre-delete"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"][0] == "uninstall"


def test_jobs_of_the_chart_are_no_jobs_of_the_controllers(documents: list[Json]) -> None:
    for one in documents:
        if one["kind"] in ("Job", "CronJob", "Pod", "DaemonSet"):
            assert "fmdj.dev/instance" not in yaml.safe_dump(one).replace("config-sha256", "")
