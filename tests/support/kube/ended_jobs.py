"""Jobs that are over, of every kind, with what diagnosis must find."""

from __future__ import annotations

from typing import Any, NamedTuple

from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.pods import GONE
from tests.support.kube.statuses import (
    complete_job,
    disrupted,
    ended,
    event,
    failed_job,
    job,
    last_word,
    pod,
    running,
    running_job,
    waiting,
)


class Over(NamedTuple):
    """A Job that is over, and what it must be found to be."""

    job: dict[str, Any]
    pods: list[dict[str, Any]]
    events: list[dict[str, Any]]
    case: Case
    failure: FailureClass | None


def over(case, failure, *pods, job=None, events=()):
    """A Job that has failed, unless another one is given."""
    return Over(failed_job() if job is None else job, list(pods), list(events), case, failure)


def evicted(message: str, worker=None):
    conditions = disrupted("TerminationByKubelet", message)
    state = ended(137) if worker is None else worker
    return pod("Failed", reason="Evicted", message=message, conditions=conditions, worker=state)


def gone(status):
    return status | {GONE: True}


_CLASSES = "budget changed config crash disk disrupted gpu input memory storage vanished"
BUDGET, CHANGED, CONFIG, CRASH, DISK, DISRUPTED, GPU, INPUT, MEMORY, STORAGE, VANISHED = map(
    FailureClass, _CLASSES.split()
)
NVIDIA = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: error during container init: error running prestart hook #0: exit status 1, "
    "stdout: , stderr: Auto-detected mode as 'legacy'\nnvidia-container-cli: initialization error: "
    "load library failed: libnvidia-ml.so.1: cannot open shared object file: no such file or directory: unknown"
)
NO_DEVICES = (
    "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy devices "
    "nvidia.com/gpu, which is unexpected"
)
LOW_MEMORY = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. "
LOW_DISK = "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 8Gi. "

ENDINGS = {
    "done": over(Case.DONE, None, pod("Succeeded", worker=ended(0, message=last_word("done", 0))), job=complete_job()),
    "complete, its pod cleaned away": over(Case.DONE, None, job=complete_job()),
    "done, and drained in the same moment": over(
        Case.DONE,
        None,
        pod("Succeeded", conditions=disrupted("EvictionByEvictionAPI"), worker=ended(0)),
        job=complete_job(),
    ),
    "bad input": over(
        Case.WORKER_EXIT,
        INPUT,
        pod("Failed", worker=ended(10, message=last_word("input", 10, "cam1.avi is truncated.", check="tail"))),
    ),
    "bad input while its node is drained": over(
        Case.WORKER_EXIT, INPUT, pod("Failed", conditions=disrupted("EvictionByEvictionAPI"), worker=ended(10))
    ),
    "an input was replaced": over(Case.WORKER_EXIT, CHANGED, pod("Failed", worker=ended(12))),
    "bad setting": over(Case.WORKER_EXIT, CONFIG, pod("Failed", worker=ended(20))),
    "storage": over(Case.WORKER_EXIT, STORAGE, pod("Failed", worker=ended(30))),
    "storage, since the network went first": over(
        Case.DRAINED, DISRUPTED, pod("Failed", conditions=disrupted("EvictionByEvictionAPI"), worker=ended(30))
    ),
    "gpu": over(Case.WORKER_EXIT, GPU, pod("Failed", gpu=1, worker=ended(40))),
    "gpu, the last of its codes": over(Case.WORKER_EXIT, GPU, pod("Failed", worker=ended(49))),
    "the worker's child was killed for memory": over(Case.WORKER_EXIT, MEMORY, pod("Failed", worker=ended(50))),
    "scratch is full": over(Case.WORKER_EXIT, DISK, pod("Failed", worker=ended(55))),
    "over its budget": over(Case.WORKER_EXIT, BUDGET, pod("Failed", worker=ended(60))),
    "crash": over(Case.WORKER_EXIT, CRASH, pod("Failed", worker=ended(1, message="Traceback"))),
    "segmentation fault": over(Case.WORKER_EXIT, CRASH, pod("Failed", worker=ended(139))),
    "killed, no word of memory": over(Case.WORKER_EXIT, MEMORY, pod("Failed", worker=ended(137))),
    "asked to stop": over(Case.WORKER_EXIT, DISRUPTED, pod("Failed", worker=ended(143))),
    "out of memory": over(Case.OOM_KILLED, MEMORY, pod("Failed", worker=ended(137, "OOMKilled"))),
    "out of memory with exit code 0": over(
        Case.OOM_KILLED,
        MEMORY,
        pod("Succeeded", worker=ended(0, "OOMKilled", message=last_word("done", 0))),
        job=complete_job(),
    ),
    "out of memory on a node that is low on it": over(
        Case.OOM_KILLED, MEMORY, evicted(LOW_MEMORY, ended(137, "OOMKilled"))
    ),
    "an init container out of memory": over(
        Case.OOM_KILLED, MEMORY, pod("Failed", init=ended(137, "OOMKilled"), worker=waiting("PodInitializing"))
    ),
    "an init container failed": over(
        Case.FOREIGN_CONTAINER,
        CRASH,
        pod("Failed", init=ended(10, message="iptables"), worker=waiting("PodInitializing")),
    ),
    "Xid in its log": over(
        Case.GPU_FAULT,
        GPU,
        pod("Failed", worker=ended(1, message="NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.")),
    ),
    "CUDA broke in its last word": over(
        Case.GPU_FAULT,
        GPU,
        pod(
            "Failed",
            worker=ended(1, message=last_word("crash", 1, "The worker crashed: CUDA error: unknown error.")),
        ),
    ),
    "evicted for scratch": over(
        Case.EVICTED_FOR_SCRATCH,
        DISK,
        evicted("Pod ephemeral local storage usage exceeds the total limit of containers 10Gi. "),
    ),
    "evicted for the container's scratch": over(
        Case.EVICTED_FOR_SCRATCH, DISK, evicted('Container worker exceeded its local ephemeral storage limit "10Gi". ')
    ),
    "evicted for a full emptyDir": over(
        Case.EVICTED_FOR_SCRATCH, DISK, evicted('Usage of EmptyDir volume "scratch" exceeds the limit "10Gi". ')
    ),
    "evicted from a full disk, having taken more than it asked for": over(
        Case.EVICTED_FOR_SCRATCH,
        DISK,
        evicted(
            f"{LOW_DISK}Container worker was using 12Gi, request is 10Gi, has larger consumption of ephemeral-storage. "
        ),
    ),
    "evicted for /dev/shm": over(
        Case.EVICTED_FOR_SHM, CONFIG, evicted('Usage of EmptyDir volume "shm" exceeds the limit "256Mi". ')
    ),
    "evicted for memory, having taken more than it asked for": over(
        Case.EVICTED_FOR_MEMORY,
        MEMORY,
        evicted(f"{LOW_MEMORY}Container worker was using 5Gi, request is 4Gi, has larger consumption of memory. "),
    ),
    "evicted for memory that others took": over(Case.EVICTED, DISRUPTED, evicted(LOW_MEMORY)),
    "evicted for memory that a sidecar took": over(
        Case.EVICTED,
        DISRUPTED,
        evicted(f"{LOW_MEMORY}Container istio-proxy was using 5Gi, request is 0, has larger consumption of memory. "),
    ),
    "evicted from a disk that others filled": over(Case.EVICTED, DISRUPTED, evicted(LOW_DISK)),
    "evicted for lack of process ids": over(
        Case.EVICTED,
        DISRUPTED,
        evicted("The node was low on resource: pids. Threshold quantity: 1000, available: 12. "),
    ),
    "evicted for lack of inodes": over(
        Case.EVICTED,
        DISRUPTED,
        evicted("The node was low on resource: inodes. Threshold quantity: 500, available: 0. "),
    ),
    "refused by a node under pressure": over(
        Case.EVICTED, DISRUPTED, pod("Failed", reason="Evicted", message="The node had condition: [DiskPressure]. ")
    ),
    "evicted, the pod gone, told by an Event": over(
        Case.EVICTED_FOR_SCRATCH,
        DISK,
        gone(pod("Running", worker=running())),
        events=[event("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 10Gi. ")],
    ),
    "evicted, nothing left but an Event": over(Case.DISRUPTED, DISRUPTED, events=[event("Evicted", LOW_MEMORY)]),
    "drained": over(
        Case.DRAINED,
        DISRUPTED,
        pod(
            "Failed",
            deleting=0,
            conditions=disrupted("EvictionByEvictionAPI", "Eviction API: evicting"),
            worker=ended(143),
        ),
    ),
    "drained, and killed at the end of its grace": over(
        Case.DRAINED,
        DISRUPTED,
        pod("Failed", deleting=0, conditions=disrupted("EvictionByEvictionAPI"), worker=ended(137)),
    ),
    "taint manager": over(
        Case.TAINTED,
        DISRUPTED,
        pod(
            "Failed",
            deleting=0,
            conditions=disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
            worker=ended(143),
        ),
    ),
    "taint manager, told by an Event": over(
        Case.TAINTED,
        DISRUPTED,
        events=[event("TaintManagerEviction", "Marking for deletion Pod lab/x", component="taint-eviction-controller")],
    ),
    "preempted by the scheduler": over(
        Case.PREEMPTED,
        DISRUPTED,
        pod(
            "Failed",
            deleting=0,
            conditions=disrupted(
                "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"
            ),
            worker=ended(143),
        ),
    ),
    "preempted, told by an Event": over(
        Case.PREEMPTED,
        DISRUPTED,
        gone(pod("Running", worker=running())),
        events=[
            event("Preempted", "Preempted by pod 5c1e on node node-7", component="default-scheduler", kind="Normal")
        ],
    ),
    "preempted by the kubelet": over(
        Case.PREEMPTED,
        DISRUPTED,
        pod(
            "Failed",
            reason="Preempting",
            message="Preempted in order to admit critical pod",
            conditions=disrupted("TerminationByKubelet", "Pod was preempted by Kubelet to accommodate a critical pod."),
            worker=ended(137),
        ),
    ),
    "the node shuts down": over(
        Case.NODE_SHUTDOWN,
        DISRUPTED,
        pod(
            "Failed",
            reason="Terminated",
            message="Pod was terminated in response to imminent node shutdown.",
            conditions=disrupted("TerminationByKubelet", "Pod was terminated in response to imminent node shutdown."),
            worker=ended(143),
        ),
    ),
    "the node is shutting down and refuses it": over(
        Case.NODE_SHUTDOWN,
        DISRUPTED,
        pod("Failed", reason="NodeShutdown", message="Pod was rejected as the node is shutting down."),
    ),
    "the node was deleted": over(
        Case.NODE_GONE,
        DISRUPTED,
        pod(
            "Failed",
            deleting=0,
            conditions=disrupted("DeletionByPodGC", "PodGC: node no longer exists"),
            worker=running(),
        ),
    ),
    "the node is lost": over(
        Case.NODE_GONE,
        DISRUPTED,
        pod(
            "Failed",
            reason="NodeLost",
            message="Node node-7 which was running pod x is unresponsive",
            worker=running(),
        ),
    ),
    "the node was restarted": over(Case.NODE_RESTARTED, DISRUPTED, pod("Failed", worker=ended(255, "Unknown"))),
    "its container was lost": over(
        Case.NODE_RESTARTED,
        DISRUPTED,
        pod(
            "Failed",
            worker=ended(
                137,
                "ContainerStatusUnknown",
                message="The container could not be located when the pod was terminated",
            ),
        ),
    ),
    "disrupted for a reason of tomorrow": over(
        Case.DISRUPTED, DISRUPTED, pod("Failed", conditions=disrupted("DeletionByTomorrow"), worker=ended(143))
    ),
    "a pod failure policy remembers the disruption": over(
        Case.DISRUPTED,
        DISRUPTED,
        job=failed_job("PodFailurePolicy", "Pod lab/x has condition DisruptionTarget matching FailJob rule at index 0"),
    ),
    "a pod failure policy remembers the exit code": over(
        Case.WORKER_EXIT,
        INPUT,
        job=failed_job(
            "PodFailurePolicy",
            "Container worker for pod lab/x failed with exit code 10 matching FailJob rule at index 1",
        ),
    ),
    "a pod failure policy remembers that it was killed, and its pod is gone": over(
        Case.POD_DELETED,
        DISRUPTED,
        job=failed_job(
            "PodFailurePolicy",
            "Container worker for pod lab/x failed with exit code 137 matching FailJob rule at index 1",
        ),
    ),
    "a pod failure policy remembers another's exit code": over(
        Case.POD_GONE,
        VANISHED,
        job=failed_job(
            "PodFailurePolicy",
            "Container istio-init for pod lab/x failed with exit code 10 matching FailJob rule at index 1",
        ),
    ),
    "its pod was deleted by hand": over(Case.POD_DELETED, DISRUPTED, pod("Failed", deleting=0, worker=ended(143))),
    "its pod was deleted by hand and killed": over(
        Case.POD_DELETED, DISRUPTED, pod("Failed", deleting=0, worker=ended(137))
    ),
    "its pod was deleted by hand and is gone, told by an Event": over(
        Case.POD_DELETED, DISRUPTED, events=[event("Killing", "Stopping container worker", kind="Normal")]
    ),
    "its pod is gone without a trace": over(Case.POD_GONE, VANISHED),
    "its pod is gone, and ran when it was last seen": over(
        Case.POD_GONE, VANISHED, gone(pod("Running", worker=running()))
    ),
    "the taint manager took back what it had announced": over(
        Case.POD_GONE,
        VANISHED,
        events=[
            event("TaintManagerEviction", "Cancelling deletion of Pod lab/x", component="taint-eviction-controller")
        ],
    ),
    "its Job was deleted by hand, without its pods": over(
        Case.JOB_DELETED, VANISHED, job=job(deleting=10, finalizers=("somebody.example/keeps-it",), active=0)
    ),
    "its Job was deleted by hand, its pod told": over(
        Case.POD_DELETED, DISRUPTED, pod("Failed", deleting=0, worker=ended(143)), job=job(deleting=10, active=0)
    ),
    "its Job was deleted by hand, its pod gone": over(
        Case.JOB_DELETED,
        VANISHED,
        gone(pod("Running", worker=running())),
        job=job(deleting=10, active=0),
        events=[event("Killing", "Stopping container worker", kind="Normal")],
    ),
    "refused for want of cpu": over(
        Case.NODE_REFUSED,
        DISRUPTED,
        pod(
            "Failed",
            reason="OutOfcpu",
            message="Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, "
            "capacity: 4000",
        ),
    ),
    "refused since its labels changed": over(
        Case.NODE_REFUSED,
        DISRUPTED,
        pod("Failed", reason="NodeAffinity", message="Pod was rejected: Predicate NodeAffinity failed"),
    ),
    "refused for its topology": over(
        Case.NODE_REFUSED,
        DISRUPTED,
        pod("Failed", reason="TopologyAffinityError", message="Resources cannot be allocated with Topology locality"),
    ),
    "refused without a GPU": over(
        Case.NODE_REFUSED,
        DISRUPTED,
        pod("Failed", reason="UnexpectedAdmissionError", message="Pod was rejected: Update plugin resources failed"),
    ),
    "refused its GPU": over(
        Case.GPU_REFUSED, GPU, pod("Failed", gpu=1, reason="UnexpectedAdmissionError", message=NO_DEVICES)
    ),
    "refused for want of GPUs": over(
        Case.GPU_REFUSED,
        GPU,
        pod(
            "Failed",
            gpu=1,
            reason="OutOfnvidia.com/gpu",
            message="Pod was rejected: Node didn't have enough resource: nvidia.com/gpu, requested: 1, "
            "used: 0, capacity: 0",
        ),
    ),
    "the GPU's runtime fails": over(
        Case.GPU_NOT_STARTED, GPU, pod("Failed", gpu=1, worker=ended(128, "StartError", message=NVIDIA))
    ),
    "no such command": over(
        Case.COMMAND_REFUSED,
        CONFIG,
        pod(
            "Failed",
            worker=ended(
                128,
                "StartError",
                message='failed to create task: exec: "fmdj": executable file not found in $PATH: unknown',
            ),
        ),
    ),
    "for another processor": over(
        Case.COMMAND_REFUSED,
        CONFIG,
        pod("Failed", worker=ended(128, "ContainerCannotRun", message="exec /usr/bin/fmdj: exec format error")),
    ),
    "can't be started today": over(
        Case.NOT_STARTED,
        CRASH,
        pod(
            "Failed",
            worker=ended(128, "StartError", message="failed to create shim task: context deadline exceeded"),
        ),
    ),
    "a deadline of the cluster": over(
        Case.DEADLINE, BUDGET, job=failed_job("DeadlineExceeded", "Job was active longer than specified deadline")
    ),
    "a deadline of the cluster, the pod still there": over(
        Case.DEADLINE,
        BUDGET,
        pod("Failed", deleting=0, worker=ended(143)),
        job=failed_job("DeadlineExceeded", "Job was active longer than specified deadline"),
    ),
    "a deadline of the pod": over(
        Case.DEADLINE,
        BUDGET,
        pod(
            "Failed",
            reason="DeadlineExceeded",
            message="Pod was active on the node longer than the specified deadline",
            worker=ended(143),
        ),
    ),
    "not a word": over(Case.NO_TRACE, CRASH, pod("Failed", conditions=())),
    "a silent machine": over(
        Case.NODE_SILENT,
        DISRUPTED,
        pod("Running", deleting=301, conditions=disrupted("DeletionByTaintManager"), worker=running()),
        job=running_job(terminating=1, active=0),
    ),
    "a silent machine that never told of a start": over(
        Case.NODE_SILENT,
        DISRUPTED,
        pod("Pending", deleting=301, worker=waiting("ContainerCreating")),
        job=running_job(),
    ),
}
