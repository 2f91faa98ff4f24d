"""What must be so for every pod that the chart makes, and for every secret."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration
Json = dict[str, Any]
MAY_TALK_TO_KUBERNETES = {"controller", "run-once", "gc", "uninstall", "test"}


def pods(documents: list[Json]) -> Iterator[tuple[str, Json]]:
    """Yield name and template (metadata, spec) of every pod."""
    for one in documents:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield name, one
        elif one["kind"] == "CronJob":
            yield name, one["spec"]["jobTemplate"]["spec"]["template"]
        elif one["kind"] in ("Deployment", "DaemonSet", "Job", "StatefulSet"):
            yield name, one["spec"]["template"]


def containers(pod: Json) -> list[Json]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def of_kind(documents: list[Json], kind: str) -> list[Json]:
    return [one for one in documents if one["kind"] == kind]


def selects(selector: Json, labels: dict[str, str]) -> bool:
    for one in selector.get("matchExpressions", ()):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def test_every_pod_is_restricted(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        security = pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert security.get("runAsUser") != 0, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod["spec"].keys(), name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }, name
            assert not any("hostPort" in port for port in container.get("ports", ())), name
        kinds = {kind for volume in pod["spec"].get("volumes", ()) for kind in volume.keys() - {"name"}}
        allowed = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected"}
        assert kinds <= allowed | {"secret"}, name


def test_every_container_says_what_it_needs(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory", "ephemeral-storage"} <= resources["requests"].keys(), name
            assert {"memory", "ephemeral-storage"} <= resources["limits"].keys(), name


def test_only_who_talks_to_kubernetes_has_a_token(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        if pod["spec"]["automountServiceAccountToken"]:
            assert component in MAY_TALK_TO_KUBERNETES, name
        assert pod["spec"]["enableServiceLinks"] is False, f"{name}: FMDJ_* of a Service would be taken for a setting"
    for account in of_kind(documents, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False


def test_programs_can_write_where_they_write(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for container in containers(pod):
            if container.get("command") == ["fmdj"]:
                mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
                assert "emptyDir" in volumes[mounts["/tmp"]], name
                assert {"name": "HOME", "value": "/tmp"} in container["env"], name


def test_every_mount_has_its_volume(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())}
        used = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", ())}
        assert used == volumes, name


def test_policies_cover_every_pod(documents: list[Json]) -> None:
    policies = [one["spec"] for one in of_kind(documents, "NetworkPolicy")]
    assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies)
    for name, pod in pods(documents):
        found = [policy for policy in policies if selects(policy["podSelector"], pod["metadata"]["labels"])]
        assert len(found) == 1, name


def test_policies_are_off_when_they_are_off(render: Callable[..., list[Json]]) -> None:
    assert not of_kind(render("minimal", "--set=networkPolicy.enabled=false"), "NetworkPolicy")


def policy(documents: list[Json], name: str) -> Json:
    (found,) = (one["spec"] for one in of_kind(documents, "NetworkPolicy") if one["metadata"]["name"] == name)
    return found


def test_workers_reach_name_servers_object_store_and_credentials_only(minimal: list[Json]) -> None:
    found = policy(minimal, "lab-worker")
    assert found["ingress"] == []
    names, store, *credentials = found["egress"]
    assert {port["port"] for port in names["ports"]} == {53}
    assert store == {
        "to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}],
        "ports": [{"protocol": "TCP", "port": 443}],
    }
    assert [rule["to"] for rule in credentials] == [
        [{"ipBlock": {"cidr": cidr}}] for cidr in ("169.254.170.23/32", "169.254.169.254/32", "169.254.169.252/32")
    ]


def test_what_is_left_out_is_left_out_of_its_kind(render: Callable[..., list[Json]]) -> None:
    found = render("minimal", "--set=networkPolicy.objectStore.except={10.0.0.0/8,fd00::/8}")
    store = policy(found, "lab-worker")["egress"][1]
    assert store["to"] == [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
        {"ipBlock": {"cidr": "::/0", "except": ["fd00::/8"]}},
    ]


@pytest.mark.parametrize(
    ("example", "port"), [("s3-private-ca", 9000), ("air-gapped", 9000), ("minimal", 443), ("evaluation", 7070)]
)
def test_the_port_is_that_of_the_endpoint(render: Callable[..., list[Json]], example: str, port: int) -> None:
    store = policy(render(example), "lab-worker")["egress"][1]
    assert store["ports"] == [{"protocol": "TCP", "port": port}]


def test_workers_of_a_shared_folder_reach_nothing_but_name_servers(render: Callable[..., list[Json]]) -> None:
    (names,) = policy(render("nfs"), "lab-worker")["egress"]
    assert {port["port"] for port in names["ports"]} == {53}


def test_restricted_programs_reach_what_they_need(render: Callable[..., list[Json]]) -> None:
    found = render("air-gapped")

    def reached(name: str) -> set[tuple[str, int]]:
        return {
            (peer["ipBlock"]["cidr"], port["port"])
            for rule in policy(found, name)["egress"]
            for peer in rule.get("to", ())
            if "ipBlock" in peer
            for port in rule["ports"]
        }

    store, database, server = ("10.20.0.6/32", 9000), ("10.20.0.5/32", 3306), ("10.20.0.1/32", 6443)
    assert reached("lab-worker") == {store}
    assert reached("lab-loader") == reached("lab-migrate") == {store, database}
    assert reached("lab-controller") == reached("lab-jobs") == {store, database, server}


def test_selectors_match_what_they_are_for(documents: list[Json]) -> None:
    every = dict(pods(documents))
    for one in documents:
        if one["kind"] in ("Deployment", "DaemonSet"):
            assert selects(one["spec"]["selector"], one["spec"]["template"]["metadata"]["labels"])
        elif one["kind"] == "Service":
            found = [
                pod
                for name, pod in every.items()
                if selects({"matchLabels": one["spec"]["selector"]}, pod["metadata"]["labels"])
            ]
            (pod,) = found
            ports = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports
        elif one["kind"] == "PodDisruptionBudget":
            assert [name for name, pod in every.items() if selects(one["spec"]["selector"], pod["metadata"]["labels"])]
        elif one["kind"] == "ServiceMonitor":
            services = [service["metadata"] for service in of_kind(documents, "Service")]
            found = [service["name"] for service in services if selects(one["spec"]["selector"], service["labels"])]
            assert found == ["lab-controller", "lab-loader"]


def test_kubectl_fmdj_finds_the_controller_and_nothing_else(documents: list[Json]) -> None:
    from fmdj_cloud.kubectl.pods import CONTAINER, SELECTOR

    component, instance = SELECTOR.split(",")
    key, _, value = component.partition("=")
    found = {
        name: pod
        for name, pod in pods(documents)
        if pod["metadata"]["labels"].get(key) == value and instance in pod["metadata"]["labels"]
    }
    assert [*found] == ["Deployment lab-controller"]
    (container,) = found["Deployment lab-controller"]["spec"]["containers"]
    assert container["name"] == CONTAINER


SECRET_WORD = re.compile(r"password|secret_access_key|access_key_id|session_token|token", re.I)


def test_no_secret_stands_anywhere_in_clear(documents: list[Json]) -> None:
    for one in documents:
        if one["kind"] in ("CustomResourceDefinition", "PrometheusRule", "Secret"):
            continue
        for path, value in leaves(one):
            key = path[-1]
            if isinstance(value, str) and SECRET_WORD.search(key) and not REFERENCES.search(".".join(path)):
                pytest.fail(f"{one['kind']} {one['metadata']['name']}: {'.'.join(path)} is {value!r}")


REFERENCES = re.compile(r"(secretName|secretKeyRef|\.secret\.|automountServiceAccountToken|secret_env)")


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from leaves(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from leaves(value, (*path, str(index)))
    elif path and path[-1].endswith(".yaml") and isinstance(node, str):
        yield from leaves(yaml.safe_load(node), path)
    else:
        yield path, node


def test_secrets_are_files_and_never_variables_of_programs(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        for container in containers(pod):
            names = {entry["name"] for entry in container.get("env", ())}
            if container.get("command") == ["fmdj"]:
                assert names <= {"FMDJ_CONFIG", "FMDJ_SECRETS_DIR", "HOME"}, name
                assert all("value" in entry for entry in container["env"]), name


def test_the_chart_makes_no_secret_but_for_a_first_look(documents: list[Json]) -> None:
    for one in of_kind(documents, "Secret"):
        assert one["metadata"]["labels"]["fmdj.dev/evaluation-only"] == "true"


def test_given_passwords_of_a_first_look_stand_in_their_secret_only(render: Callable[..., list[Json]]) -> None:
    import base64

    values = ("--set=evaluation.mysql.password=hush-1,evaluation.objectStore.secretKey=hush-2",)
    found = render("evaluation", *values)
    (secret,) = of_kind(found, "Secret")
    assert base64.b64decode(secret["data"]["mysql-password"]) == b"hush-1"
    rest = yaml.safe_dump([one for one in found if one is not secret])
    assert "hush" not in rest


def test_what_is_for_a_first_look_says_so(full: list[Json]) -> None:
    for one in full:
        component = one["metadata"]["labels"]["app.kubernetes.io/component"]
        assert component.startswith("evaluation") == (
            one["metadata"]["labels"].get("fmdj.dev/evaluation-only") == "true"
        )


def test_users_are_values(render: Callable[..., list[Json]]) -> None:
    for name, pod in pods(render("nfs")):
        security = pod["spec"]["securityContext"]
        assert (security["runAsUser"], security["runAsGroup"]) == (20017, 20000), name
        assert security["supplementalGroups"] == [20100], name
    for name, pod in pods(render("minimal", "--set=security.runAsUser=null,security.fsGroup=null")):
        assert not {"runAsUser", "fsGroup"} & pod["spec"]["securityContext"].keys(), name


def test_registry_credentials_reach_every_pod(render: Callable[..., list[Json]]) -> None:
    for name, pod in pods(render("private-registry", "--set=prePull.enabled=true")):
        assert pod["spec"]["imagePullSecrets"] == [{"name": "lab-registry"}], name
        for container in containers(pod):
            assert "@sha256:" in container["image"], name


def test_no_image_floats(documents: list[Json]) -> None:
    for name, pod in pods(documents):
        for container in containers(pod):
            _, _, tag = container["image"].rpartition("/")[2].partition(":")
            assert tag not in ("", "latest"), name
