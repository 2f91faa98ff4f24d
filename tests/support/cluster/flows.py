"""What must be so on every cluster; `lab` and `other_lab` are fixtures of whoever inherits these tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.cluster.gate import running_gate
from tests.support.cluster.lab import ClusterLab
from tests.support.cluster.site import server_of, through

CRD = Path(__file__).parents[3] / "helm" / "fmdj-cloud" / "files" / "facemapruns.fmdj.dev.yaml"
OtherLab = Callable[[ClusterLab], ClusterLab]


class Flows:
    """The life of tasks, whole."""

    def test_a_task_becomes_a_result(self, lab: ClusterLab) -> None:
        lab.start("controller")
        lab.start("loader")
        key = lab.insert_task()
        lab.until(key, "loaded")

        assert lab.has_result(key)
        assert lab.outcomes(key) == ["published"]
        lab.eventually(lambda: not lab.jobs(), "the end of the Job")
        lab.stop_programs()

    def test_too_little_memory_is_tried_again_with_more(self, lab: ClusterLab) -> None:
        lab.site.tell("memory")
        lab.profile = {"memory_min_mib": 64, "shm_mib": 0}
        poor = lab.start("controller", memory_cap_mib=256)
        key = lab.insert_task()
        lab.eventually(lab.jobs, "a Job")
        lab.stop(poor)
        lab.start("controller")
        lab.start("loader")
        lab.until(key, "loaded")

        first, *_, last = lab.outcomes(key)
        assert (first, last) == ("memory", "published")

    def test_an_image_that_is_nowhere_is_final(self, lab: ClusterLab) -> None:
        lab.site.tell("image")
        lab.profile = {"image": "registry.invalid/no/such:1"}
        lab.start("controller")
        key = lab.insert_task()
        run = lab.until(key, "failed")

        assert run.failure_class == "image"
        assert "registry.invalid/no/such:1" in run.sentence
        lab.eventually(lambda: not lab.jobs(), "the end of the Job")

    def test_a_gpu_that_no_node_has_is_final(self, lab: ClusterLab) -> None:
        lab.profile = {"gpu": 1, "gpu_resource": "fmdj.dev/no-such-gpu"}
        lab.start("controller")
        key = lab.insert_task()
        run = lab.until(key, "failed")

        assert run.failure_class == "unschedulable"
        assert "fmdj.dev/no-such-gpu" in run.sentence
        lab.eventually(lambda: not lab.jobs(), "the end of the Job")

    def test_an_evicted_worker_is_not_the_run_s_fault(self, lab: ClusterLab) -> None:
        lab.site.tell("wait")
        lab.start("controller")
        lab.start("loader")
        key = lab.insert_task()
        lab.site.kubectl.evict(lab.running_pod(key)["metadata"]["name"])
        lab.site.tell("go")
        lab.until(key, "loaded")

        assert lab.outcomes(key) == ["disrupted", "published"]

    def test_a_controller_killed_in_the_middle_is_replaced(self, lab: ClusterLab) -> None:
        lab.site.tell("wait")
        first = lab.start("controller")
        lab.start("loader")
        key = lab.insert_task()
        pod = lab.running_pod(key)
        first.kill()
        lab.start("controller")
        lab.site.tell("go")
        lab.until(key, "loaded")

        assert lab.outcomes(key) == ["published"]
        run = lab.run_of(key)
        assert run is not None
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"].endswith(f"{run.run_id}-a1")

    def test_a_second_controller_stands_by(self, lab: ClusterLab) -> None:
        lab.start("controller")
        lab.start("loader")
        lab.eventually(lab.ledger.leader, "a leader")
        second = lab.start("controller")
        keys = [lab.insert_task() for _ in range(2)]
        for key in keys:
            lab.until(key, "loaded")

        assert [lab.outcomes(key) for key in keys] == [["published"]] * 2
        lab.eventually(lambda: "standing by" in second.log.read_text(), "a word of the second controller")
        lab.stop_programs()

    def test_the_api_server_may_be_out_of_reach(self, lab: ClusterLab) -> None:
        with running_gate(*server_of(lab.site.kubeconfig)) as gate:
            lab.kubeconfig = through(gate, lab.site.kubeconfig, lab.folder / "kubeconfig")
            lab.site.tell("wait")
            controller = lab.start("controller")
            lab.start("loader")
            key = lab.insert_task()
            name = lab.running_pod(key)["metadata"]["name"]
            gate.shut()
            lab.site.tell("go")
            lab.eventually(lambda: _is_over(lab, name), "the end of the worker")
            late = lab.insert_task()
            refused = gate.refused
            lab.eventually(lambda: gate.refused > refused, "another try of the controller's")
            assert controller.process.poll() is None
            gate.open()
            for one in (key, late):
                lab.until(one, "loaded")
            assert [lab.outcomes(one) for one in (key, late)] == [["published"]] * 2
            lab.stop_programs()

    def test_a_job_deleted_by_hand_is_made_again(self, lab: ClusterLab) -> None:
        lab.site.tell("wait")
        lab.start("controller")
        lab.start("loader")
        key = lab.insert_task()
        pod = lab.running_pod(key)
        lab.site.kubectl.delete("job", pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])
        lab.eventually(lambda: _is_over(lab, pod["metadata"]["name"]), "the end of the worker")
        lab.site.tell("go")
        lab.until(key, "loaded")

        first, *_, last = lab.outcomes(key)
        assert first in ("vanished", "disrupted")
        assert last == "published"

    def test_a_cancelled_task_s_job_is_stopped(self, lab: ClusterLab) -> None:
        lab.site.tell("wait")
        lab.start("controller")
        key = lab.insert_task()
        lab.running_pod(key)
        run = lab.run_of(key)
        assert run is not None
        lab.fmdj("cancel", run.run_id)
        lab.until(key, "cancelled")

        lab.eventually(lambda: not lab.jobs(), "the end of the Job")

    def test_two_releases_in_one_namespace_don_t_see_each_other(self, lab: ClusterLab, other_lab: OtherLab) -> None:
        other = other_lab(lab)
        keys = [one.insert_task() for one in (lab, other)]
        for one in (lab, other):
            one.start("controller")
            one.start("loader")
        for one, key in zip((lab, other), keys, strict=True):
            one.until(key, "loaded")

        assert [one.outcomes(key) for one, key in zip((lab, other), keys, strict=True)] == [["published"]] * 2
        runs = [one.run_of(key) for one, key in zip((lab, other), keys, strict=True)]
        assert runs[0] is not None
        assert runs[1] is not None
        assert runs[0].run_id == runs[1].run_id
        for one in (lab, other):
            one.stop_programs()


class FacemapRunFlows:
    """Tasks that a FacemapRun asks for. The folder's conftest has the definition made."""

    def test_what_it_selects_is_computed_and_nothing_else(self, lab: ClusterLab) -> None:
        wanted, other = lab.insert_task(), lab.insert_task()
        lab.start("controller", trigger="facemapruns")
        lab.start("loader")
        apply(lab, "some", "recording_id = 1")
        lab.until(wanted, "loaded")
        lab.site.kubectl.run("wait", "fmr/some", "--for=condition=Complete", f"--timeout={lab.site.patience_s:.0f}s")

        table = lab.site.kubectl.run("get", "fmr", "some").stdout.splitlines()
        assert table[0].split()[:3] == ["NAME", "SELECTED", "LOADED"]
        assert table[1].split()[:3] == ["some", "1", "1"]
        assert lab.run_of(other) is None
        lab.site.kubectl.delete("fmr", "some")
        lab.eventually(lambda: not lab.site.kubectl.items("fmr"), "the end of the FacemapRun")
        assert lab.has_result(wanted)

    def test_deleting_it_cancels_what_it_started(self, lab: ClusterLab) -> None:
        lab.site.tell("wait")
        key = lab.insert_task()
        lab.start("controller", trigger="facemapruns")
        apply(lab, "regretted", "true")
        lab.running_pod(key)
        lab.site.kubectl.delete("fmr", "regretted")
        lab.until(key, "cancelled")

        lab.eventually(lambda: not lab.site.kubectl.items("fmr"), "the end of the FacemapRun")
        lab.eventually(lambda: not lab.jobs(), "the end of the Job")

    def test_what_makes_no_sense_is_refused_at_once(self, lab: ClusterLab) -> None:
        body = facemaprun(lab, "senseless", "true")
        del body["spec"]["restriction"]
        answer = lab.site.kubectl.run("apply", "--filename=-", body=body, check=False)

        assert answer.returncode != 0
        assert "say which tasks" in answer.stderr


def facemaprun(lab: ClusterLab, name: str, restriction: str) -> dict:
    return {
        "apiVersion": "fmdj.dev/v1alpha1",
        "kind": "FacemapRun",
        "metadata": {"name": name, "labels": {"fmdj.dev/instance": lab.settings.instance}},
        "spec": {"pipeline": lab.settings.pipelines[0].name, "kind": "svd", "restriction": restriction},
    }


def apply(lab: ClusterLab, name: str, restriction: str) -> None:
    lab.site.kubectl.apply(facemaprun(lab, name, restriction))


def _is_over(lab: ClusterLab, pod: str) -> bool:
    found = [one for one in lab.site.kubectl.items("pods") if one["metadata"]["name"] == pod]
    return not found or found[0]["status"].get("phase") in ("Succeeded", "Failed")
