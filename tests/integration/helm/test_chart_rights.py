"""The Role is what the code does, to the verb: whatever calls Kubernetes is let loose on a cluster that takes notes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fmdj_cloud.contracts import FailureClass, Outcome
from fmdj_cloud.control.facemapruns.api import FacemapRunApi
from fmdj_cloud.control.kube.client import Json
from fmdj_cloud.control.kube.lease import LeaseElector, lease_name
from fmdj_cloud.control.kube.recorder import EventRecorder, reference
from fmdj_cloud.control.kube.rights import FACEMAPRUN_RIGHTS, RIGHTS
from fmdj_cloud.control.report import Tally
from fmdj_cloud.control.uninstall import Uninstaller
from tests.support.kube import behaviour as does
from tests.support.kube.cluster import FakeCluster
from tests.support.kube.requests import Request
from tests.support.launching import Bench, bench

pytestmark = pytest.mark.integration
CRD = Path(__file__).parents[3] / "helm" / "fmdj-cloud" / "files" / "facemapruns.fmdj.dev.yaml"
Rights = set[tuple[str, str, str]]
WHY = Outcome(failure_class=FailureClass.IMAGE, sentence="The image can't be pulled.")
ABOUT_ITSELF = ("authorization.k8s.io",)
"""What everybody may ask, whatever their rights."""


def rights_of(documents: list[Json]) -> Rights:
    """Return (group, resource, verb) of the one Role."""
    (role,) = (one for one in documents if one["kind"] == "Role")
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture
def cluster(minimal: list[Json]) -> Iterator[FakeCluster]:
    """A cluster that grants what the Role says and no more, and knows FacemapRuns."""
    allowed = rights_of(minimal)

    def refused(request: Request) -> bool:
        needed = (request.group, request.target, request.verb)
        return bool(request.resource) and request.group not in ABOUT_ITSELF and needed not in allowed

    with FakeCluster() as made:
        made.create(yaml.safe_load(CRD.read_text()))
        made.advance(5)
        made.access.denied.append(refused)
        yield made


def call_everything(lab: Bench, cluster: FakeCluster) -> None:
    """Have everything done that a controller ever asks of Kubernetes."""
    elector = LeaseElector(lab.client, lease_name(lab.instance), "me", 30)
    assert elector.hold()
    assert elector.hold()
    elector.release()

    cluster.script("*", does.Behaviour(exit=does.Exit(1, log="Traceback ...\n")))
    cache = lab.new_cache(lab.new_client(), facemapruns=True)
    cache.start()
    assert cache.wait_synced(20)
    given_up = lab.launch(1)
    cluster.advance(60)
    lab.look()
    assert "Traceback" in lab.launcher.read_log(given_up.name)
    assert not lab.launcher.is_gone(given_up.name)
    lab.launcher.stop(given_up.name, WHY)
    lab.launch(2)
    cluster.advance(60)
    ended = next(name for name in lab.look() if name != given_up.name)
    lab.launcher.forget(ended)

    recorder = EventRecorder(lab.client, "fmdj-controller", lab.instance)
    for _ in range(2):
        recorder.record(reference("Job", "job", "uid"), "Warning", "Failed", "It failed.")

    metadata = {"name": "some", "namespace": cluster.namespace}
    spec = {"pipeline": "lab", "restriction": "true"}
    cluster.create({"apiVersion": "fmdj.dev/v1alpha1", "kind": "FacemapRun", "metadata": metadata, "spec": spec})
    listing = lab.new_cache(lab.client, facemapruns=True)
    listing.refresh()
    api = FacemapRunApi(lab.client, listing, recorder)
    tally = Tally()
    (run,) = api.all()
    assert api.uids(tally)
    changed = api.set_finalizer(run, True, tally)
    assert changed is not None
    api.write_status(changed, {"instance": lab.instance}, tally)
    assert tally.errors == []
    cache.stop()


@pytest.fixture
def asked(cluster: FakeCluster, tmp_path: Path) -> Rights:
    """What was asked for."""
    with bench(cluster, tmp_path, request_timeout_s=1) as lab:
        call_everything(lab, cluster)
        removal = Uninstaller(lab.settings, lab.client, None, sleep=lambda _: cluster.advance(5)).run(60)
        assert removal.troubles == []
        assert removal.facemapruns == 1
    requests = [request for request in cluster.requests if request.resource and request.group not in ABOUT_ITSELF]
    assert not [str(request) for request in requests if request.code == 403]
    return {(request.group, request.target, request.verb) for request in requests}


def test_the_role_is_what_the_code_asks_for_to_the_verb(asked: Rights, minimal: list[Json]) -> None:
    assert rights_of(minimal) - asked == set(), "rights that nothing uses"
    assert asked - rights_of(minimal) == set(), "calls that nothing allows"


def test_the_lease_of_another_release_is_out_of_reach(render: Callable[..., list[Json]]) -> None:
    for values, name in (
        ("--set=gc.enabled=true", "lab-controller"),
        ("--set=settings.instance=other", "other-controller"),
    ):
        roles = (one for one in render("minimal", values) if one["kind"] == "Role")
        rules = [rule for role in roles for rule in role["rules"] if rule["resources"] == ["leases"]]
        reached = {verb: rule.get("resourceNames") for rule in rules for verb in rule["verbs"]}
        assert reached == {"create": None, "get": [name], "update": [name]}


def test_doctor_asks_for_the_same_rights(minimal: list[Json]) -> None:
    known = {(right.group, right.resource, right.verb) for right in (*RIGHTS, *FACEMAPRUN_RIGHTS)}
    assert rights_of(minimal) == known


def test_rights_are_in_one_namespace_and_the_controller_s_alone(documents: list[Json]) -> None:
    kinds = {one["kind"] for one in documents}
    assert not {"ClusterRole", "ClusterRoleBinding"} & kinds
    (binding,) = (one for one in documents if one["kind"] == "RoleBinding")
    (subject,) = binding["subjects"]
    assert (subject["kind"], subject["name"]) == ("ServiceAccount", "lab-controller")
    for _, resource, verb in rights_of(documents):
        assert resource not in ("secrets", "pods/exec", "configmaps", "nodes")
        assert "*" not in (resource, verb)


def test_housekeeping_s_own_account_may_do_what_it_does_and_no_more(
    render: Callable[..., list[Json]], tmp_path: Path
) -> None:
    own = render("minimal", "--set=gc.enabled=true", "--set=gc.serviceAccountName=tidy")
    (binding,) = (one for one in own if one["kind"] == "RoleBinding" and one["metadata"]["name"] == "lab-gc")
    assert [subject["name"] for subject in binding["subjects"]] == ["tidy"]
    allowed = rights_of([one for one in own if one["metadata"]["name"] == "lab-gc"])
    with FakeCluster() as cluster, bench(cluster, tmp_path, request_timeout_s=1) as lab:
        cluster.script("*", does.stay())
        names = {lab.launch(number).name for number in (1, 2)}
        cluster.advance(60)
        before = len(cluster.requests)
        lab.cache.refresh()
        launcher = lab.new_launcher(lab.client, lab.cache)
        assert {job.name for job in launcher.observe()} == names
        for name in names:
            launcher.stop(name)
            launcher.forget(name)
            launcher.is_gone(name)
        asked = {(one.group, one.target, one.verb) for one in list(cluster.requests)[before:] if one.resource}
    assert asked == allowed


def test_somebody_else_may_make_the_role(render: Callable[..., list[Json]]) -> None:
    kinds: Any = {one["kind"] for one in render("minimal", "--set=rbac.create=false")}
    assert not {"Role", "RoleBinding"} & kinds
