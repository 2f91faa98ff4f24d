"""The ways in which Jobs fail, wait or can't start, as they are told apart: a stable contract.

A case decides the failure class; ``docs/failures.md`` is written from this table, and every case has a status in the
tests that is recognised as it.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from fmdj_cloud.contracts import FailureClass


class Case(enum.StrEnum):
    """How something was recognised; kept as ``case`` in an outcome's evidence."""

    # the worker ended by itself
    DONE = "done"
    WORKER_EXIT = "worker-exit"
    OOM_KILLED = "oom-killed"
    GPU_FAULT = "gpu-fault"
    DEADLINE = "deadline"
    # it was ended from outside
    EVICTED_FOR_SCRATCH = "evicted-for-scratch"
    EVICTED_FOR_MEMORY = "evicted-for-memory"
    EVICTED_FOR_SHM = "evicted-for-shm"
    EVICTED = "evicted"
    DRAINED = "drained"
    TAINTED = "tainted"
    PREEMPTED = "preempted"
    NODE_SHUTDOWN = "node-shutdown"
    NODE_GONE = "node-gone"
    NODE_RESTARTED = "node-restarted"
    NODE_SILENT = "node-silent"
    DISRUPTED = "disrupted"
    POD_DELETED = "pod-deleted"
    POD_GONE = "pod-gone"
    JOB_DELETED = "job-deleted"
    # it never began
    NODE_REFUSED = "node-refused"
    GPU_REFUSED = "gpu-refused"
    GPU_NOT_STARTED = "gpu-not-started"
    COMMAND_REFUSED = "command-refused"
    NOT_STARTED = "not-started"
    FOREIGN_CONTAINER = "foreign-container"
    NO_TRACE = "no-trace"
    # it can't begin, or not end
    IMAGE_NAME = "image-name"
    IMAGE_PULL = "image-pull"
    CONTAINER_CONFIG = "container-config"
    VOLUME = "volume"
    SANDBOX = "sandbox"
    UNSCHEDULABLE = "unschedulable"
    QUOTA_TOO_SMALL = "quota-too-small"
    POD_REFUSED = "pod-refused"
    JOB_REFUSED = "job-refused"
    FOREIGN_LEFT = "foreign-left"
    # it waits, or works
    NEW = "new"
    SUSPENDED = "suspended"
    QUEUED_BY_KUEUE = "queued-by-kueue"
    QUEUED_BY_QUOTA = "queued-by-quota"
    BUSY = "busy"
    SCALE_UP = "scale-up"
    PULLING = "pulling"
    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"


class Sign(NamedTuple):
    """What a case means and what it is recognised by.

    Attributes
    ----------
    failure : FailureClass or None
        None if it is no failure, or if the worker's exit code tells.
    seen : str
        What Kubernetes shows, for people who look there.
    """

    failure: FailureClass | None
    seen: str


SIGNS: dict[Case, Sign] = {
    Case.DONE: Sign(None, "exit code 0, or the Job is Complete; without a manifest that is a `crash`"),
    Case.WORKER_EXIT: Sign(
        None, "the worker's exit code: the table above; 137 is `memory` unless it was being stopped"
    ),
    Case.OOM_KILLED: Sign(
        FailureClass.MEMORY, "a container's reason OOMKilled, whatever its exit code, init containers too"
    ),
    Case.GPU_FAULT: Sign(FailureClass.GPU, "a crash whose last words name an Xid or a CUDA device that is gone"),
    Case.DEADLINE: Sign(
        FailureClass.BUDGET, "DeadlineExceeded on Job or Pod: a deadline that the cluster set, we set none"
    ),
    Case.EVICTED_FOR_SCRATCH: Sign(
        FailureClass.DISK,
        "Evicted: ephemeral local storage or an emptyDir beyond its limit, or the node low on ephemeral-storage and "
        "the worker beyond its request",
    ),
    Case.EVICTED_FOR_MEMORY: Sign(
        FailureClass.MEMORY, "Evicted: the node low on memory and the worker beyond its request"
    ),
    Case.EVICTED_FOR_SHM: Sign(FailureClass.CONFIG, "Evicted: an emptyDir in memory (/dev/shm) beyond its limit"),
    Case.EVICTED: Sign(
        FailureClass.DISRUPTED, "Evicted otherwise: the node low on memory, disk, inodes or PIDs through others"
    ),
    Case.DRAINED: Sign(FailureClass.DISRUPTED, "DisruptionTarget, EvictionByEvictionAPI: a drain or an autoscaler"),
    Case.TAINTED: Sign(
        FailureClass.DISRUPTED,
        "DisruptionTarget, DeletionByTaintManager: a NoExecute taint, such as an unreachable node",
    ),
    Case.PREEMPTED: Sign(
        FailureClass.DISRUPTED, "DisruptionTarget, PreemptionByScheduler; or reason Preempting: a more urgent Pod"
    ),
    Case.NODE_SHUTDOWN: Sign(
        FailureClass.DISRUPTED,
        "reason Terminated, NodeShutdown or Shutdown; or TerminationByKubelet: the node shuts down",
    ),
    Case.NODE_GONE: Sign(
        FailureClass.DISRUPTED, "DisruptionTarget, DeletionByPodGC; or reason NodeLost: the node is no longer there"
    ),
    Case.NODE_RESTARTED: Sign(
        FailureClass.DISRUPTED, "container reason Unknown (255) or ContainerStatusUnknown (137): the node was restarted"
    ),
    Case.NODE_SILENT: Sign(
        FailureClass.DISRUPTED,
        "the Pod is still Terminating `kubernetes.lost_grace_s` after its grace: the next attempt starts, it is "
        "reported as leaked",
    ),
    Case.DISRUPTED: Sign(FailureClass.DISRUPTED, "DisruptionTarget for another reason"),
    Case.POD_DELETED: Sign(FailureClass.DISRUPTED, "the Pod was deleted, and the worker stopped or was killed for it"),
    Case.POD_GONE: Sign(FailureClass.VANISHED, "the Job has Failed, its Pod is gone, and nothing tells why"),
    Case.JOB_DELETED: Sign(FailureClass.VANISHED, "the Job is being deleted by somebody else, its Pods are over"),
    Case.NODE_REFUSED: Sign(
        FailureClass.DISRUPTED,
        "the node refused the Pod: OutOfcpu, OutOfmemory, OutOfpods, NodeAffinity, TaintToleration, "
        "TopologyAffinityError, UnexpectedAdmissionError without a GPU ...",
    ),
    Case.GPU_REFUSED: Sign(
        FailureClass.GPU, "the node refused the Pod's GPU: UnexpectedAdmissionError, OutOfnvidia.com/gpu"
    ),
    Case.GPU_NOT_STARTED: Sign(
        FailureClass.GPU, "StartError or its like, from the GPU's runtime (nvidia-container-cli)"
    ),
    Case.COMMAND_REFUSED: Sign(
        FailureClass.CONFIG, "StartError or its like: the image has no such command, or one for another processor"
    ),
    Case.NOT_STARTED: Sign(
        FailureClass.CRASH,
        "StartError or its like otherwise; CreateContainerError, RunContainerError beyond `kubernetes.start_grace_s`",
    ),
    Case.FOREIGN_CONTAINER: Sign(
        FailureClass.CRASH,
        "an init container or sidecar that something put into the Pod failed before the worker ended",
    ),
    Case.NO_TRACE: Sign(FailureClass.CRASH, "the Pod has Failed without a word"),
    Case.IMAGE_NAME: Sign(FailureClass.CONFIG, "InvalidImageName: at once"),
    Case.IMAGE_PULL: Sign(
        FailureClass.IMAGE,
        "ErrImagePull, ImagePullBackOff, ErrImageNeverPull, ImageInspectError ... beyond `kubernetes.image_grace_s`",
    ),
    Case.CONTAINER_CONFIG: Sign(
        FailureClass.CONFIG, "CreateContainerConfigError (a Secret or key is missing) beyond `kubernetes.start_grace_s`"
    ),
    Case.VOLUME: Sign(
        FailureClass.CONFIG, "Events FailedMount, FailedAttachVolume ... beyond `kubernetes.start_grace_s`"
    ),
    Case.SANDBOX: Sign(
        FailureClass.DISRUPTED, "Events FailedCreatePodSandBox, NetworkNotReady beyond `kubernetes.start_grace_s`"
    ),
    Case.UNSCHEDULABLE: Sign(
        FailureClass.UNSCHEDULABLE,
        "every node refuses for good (selector, taint, more than it has altogether), and no autoscaler may add one, "
        "for `kubernetes.unschedulable_grace_s`",
    ),
    Case.QUOTA_TOO_SMALL: Sign(
        FailureClass.UNSCHEDULABLE,
        "exceeded quota, and one Pod alone asks for more than the quota, for `kubernetes.unschedulable_grace_s`",
    ),
    Case.POD_REFUSED: Sign(
        FailureClass.CONFIG,
        "Event FailedCreate: the Job's Pod is refused, at once by PodSecurity, LimitRange or validation; a webhook's "
        "denial or something missing (ServiceAccount, PriorityClass, RuntimeClass) beyond `kubernetes.start_grace_s`",
    ),
    Case.JOB_REFUSED: Sign(
        FailureClass.CONFIG, "the Job is refused when it is created: admission, validation (422), missing rights (403)"
    ),
    Case.FOREIGN_LEFT: Sign(
        FailureClass.CONFIG,
        "the worker has ended, a sidecar keeps the Pod for `kubernetes.lost_grace_s`; what the worker said counts",
    ),
    Case.NEW: Sign(None, "no Pod yet, or one that nobody has looked at"),
    Case.SUSPENDED: Sign(None, "`suspend: true` without a queue of Kueue"),
    Case.QUEUED_BY_KUEUE: Sign(None, "`suspend: true` with a queue of Kueue, or a scheduling gate: without limit"),
    Case.QUEUED_BY_QUOTA: Sign(None, "exceeded quota, at the Job or at its Pod: without limit"),
    Case.BUSY: Sign(None, "Unschedulable, but some node could take it if it were free: without limit"),
    Case.SCALE_UP: Sign(
        None,
        "Unschedulable, and an autoscaler adds a node or will later (TriggeredScaleUp, Nominated, a limit reached)",
    ),
    Case.PULLING: Sign(None, "its image is being fetched"),
    Case.STARTING: Sign(None, "ContainerCreating, PodInitializing, or trouble that may pass"),
    Case.RUNNING: Sign(None, "the worker runs"),
    Case.ENDING: Sign(None, "it has ended or is being stopped, and is not over yet"),
}
