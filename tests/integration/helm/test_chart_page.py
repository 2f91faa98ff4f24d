"""The status page in the chart: off by default, reads only, and is reached by who is let in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from fmdj_cloud.serve.page.program import host_names

pytestmark = pytest.mark.integration
Json = dict[str, Any]
Render = Callable[..., list[Json]]
ON = "--set=serve.enabled=true"


def of_page(documents: list[Json]) -> dict[str, Json]:
    return {one["kind"]: one for one in documents if one["metadata"]["name"] == "lab-serve"}


def settings_of(documents: list[Json]) -> Json:
    (config,) = (one for one in documents if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "lab-config")
    found: Json = yaml.safe_load(config["data"]["fmdj.yaml"])
    return found


def test_there_is_none_unless_asked_for(minimal: list[Json]) -> None:
    assert of_page(minimal) == {}
    assert "page" not in settings_of(minimal)


def test_it_is_a_deployment_with_a_service_and_a_policy(render: Render) -> None:
    found = of_page(render("minimal", ON))
    assert set(found) == {"Deployment", "Service", "NetworkPolicy", "ServiceAccount"}
    (container,) = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert [*container["command"], *container["args"]] == ["fmdj", "serve"]
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "page"}
    assert found["Service"]["spec"]["ports"] == [{"name": "page", "port": 80, "targetPort": "page"}]
    selector = found["Service"]["spec"]["selector"]
    assert selector == found["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector == found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]


def test_it_listens_where_its_pod_is_asked(render: Render) -> None:
    documents = render("minimal", ON, "--set=settings.page.port=9000")
    page = settings_of(documents)["page"]
    assert page == {"host": "", "port": 9000, "workdir": "/work"}
    assert host_names(page["host"], ()) == (), "probes ask by the pod's address"
    (container,) = of_page(documents)["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "page", "containerPort": 9000}]


def test_its_database_user_is_its_own(render: Render) -> None:
    own = ("--set-string=serve.settingsFromSecrets.database\\.password=reader/password",)
    pod = of_page(render("minimal", ON, *own))["Deployment"]["spec"]["template"]["spec"]
    (secrets,) = (volume for volume in pod["volumes"] if volume["name"] == "secrets")
    assert {"name": "reader", "items": [{"key": "password", "path": "fmdj_database__password"}]} in (
        source["secret"] for source in secrets["projected"]["sources"]
    )
    assert pod["automountServiceAccountToken"] is False


def test_nobody_reaches_it_unless_let_in(render: Render) -> None:
    assert of_page(render("minimal", ON))["NetworkPolicy"]["spec"]["ingress"] == []
    who = '--set-json=networkPolicy.pageFrom=[{"namespaceSelector":{"matchLabels":{"name":"ingress"}}}]'
    (rule,) = of_page(render("minimal", ON, who))["NetworkPolicy"]["spec"]["ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "page"}]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}]


def test_the_notes_say_how_to_reach_it(helm: Callable[..., Any], chart: Any) -> None:
    example = f"--values={chart / 'examples' / 'minimal.yaml'}"
    answer = helm("helm-4", "install", "lab", str(chart), example, ON, "--dry-run=client", "--namespace=lab-ns")
    assert answer.returncode == 0, answer.stderr
    assert "kubectl port-forward -n lab-ns svc/lab-serve 8090:80" in answer.stdout
