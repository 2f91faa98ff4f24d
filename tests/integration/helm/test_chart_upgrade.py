"""An installation of version 0.1 can be upgraded: `fixtures/0.1` holds its values and its objects, frozen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmdj_cloud.settings import Settings

pytestmark = pytest.mark.integration
FROZEN = Path(__file__).parent / "fixtures" / "0.1"
Json = dict[str, Any]
Objects = dict[tuple[str, str], Json]
FOR_GOOD = {
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "RoleBinding": ("roleRef",),
    "CustomResourceDefinition": ("spec.group", "spec.scope", "spec.names.plural", "spec.names.kind"),
}
"""Fields that the API server lets nobody change."""


def by_name(documents: list[Json]) -> Objects:
    return {(one["kind"], one["metadata"]["name"]): one for one in documents if one}


def field(document: Json, path: str) -> Any:
    for part in path.split("."):
        document = document[part]
    return document


@pytest.fixture(scope="module")
def old() -> Objects:
    return by_name([*yaml.safe_load_all((FROZEN / "objects.yaml").read_text())])


@pytest.fixture(scope="module")
def new(helm: Callable[..., Any], chart: Path) -> Objects:
    """What the same values become today."""
    options = (f"--values={FROZEN / 'values.yaml'}", "--namespace=lab-ns", "--is-upgrade")
    answer = helm("helm-4", "template", "lab", str(chart), *options)
    assert answer.returncode == 0, answer.stderr
    return by_name([*yaml.safe_load_all(answer.stdout)])


def test_the_old_values_are_taken_without_a_word(helm: Callable[..., Any], chart: Path) -> None:
    for which in ("helm-4", "helm-3"):
        answer = helm(which, "lint", "--strict", "--quiet", str(chart), f"--values={FROZEN / 'values.yaml'}")
        assert answer.returncode == 0, answer.stdout


def test_what_can_never_change_hasn_t(old: Objects, new: Objects) -> None:
    for key in old.keys() & new.keys():
        for path in FOR_GOOD.get(key[0], ()):
            assert field(new[key], path) == field(old[key], path), f"{key}: {path}"


def test_pods_still_have_the_labels_that_old_selectors_look_for(old: Objects, new: Objects) -> None:
    for key, document in old.items():
        if key in new and key[0] in ("Deployment", "DaemonSet"):
            labels = new[key]["spec"]["template"]["metadata"]["labels"]
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_what_people_and_clouds_name_keeps_its_name(old: Objects, new: Objects) -> None:
    kinds = ("ServiceAccount", "Service", "CronJob", "Deployment", "CustomResourceDefinition", "Role")
    assert {key for key in old if key[0] in kinds} <= new.keys()


def test_jobs_that_run_belong_to_the_new_controller(old: Objects, new: Objects) -> None:
    """They are found by the instance's label; nothing of theirs is the chart's, so that Helm leaves them alone."""
    for objects in (old, new):
        labels = objects["Deployment", "lab-controller"]["spec"]["template"]["metadata"]["labels"]
        assert labels["fmdj.dev/instance"] == "lab"
        selector = objects["NetworkPolicy", "lab-worker"]["spec"]["podSelector"]["matchLabels"]
        assert selector["fmdj.dev/instance"] == "lab"


def test_the_definition_still_serves_what_is_stored(old: Objects, new: Objects) -> None:
    def served(objects: Objects) -> set[str]:
        versions = objects["CustomResourceDefinition", "facemapruns.fmdj.dev"]["spec"]["versions"]
        return {version["name"] for version in versions if version["served"]}

    assert served(old) <= served(new)


def test_the_old_settings_still_load_and_decide_no_engine(old: Objects) -> None:
    """Engine and basis are the ledger's, fixed at a pipeline's first start."""
    config = yaml.safe_load(old["ConfigMap", "lab-config"]["data"]["fmdj.yaml"])
    settings = Settings.model_validate(config)
    assert "engine" not in config["controller"]
    assert settings.controller.retry.crash == 1
