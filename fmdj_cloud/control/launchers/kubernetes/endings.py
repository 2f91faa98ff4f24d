"""How a Pod ended: the worker's own word where it had one, else what Kubernetes recorded."""

from __future__ import annotations

import re

from fmdj_cloud.contracts import FailureClass, Outcome
from fmdj_cloud.control.diagnose import ProcessEnd, diagnose
from fmdj_cloud.control.launchers.kubernetes.cases import SIGNS, Case
from fmdj_cloud.control.launchers.kubernetes.containers import Container, Ended
from fmdj_cloud.control.launchers.kubernetes.eviction import read_eviction
from fmdj_cloud.control.launchers.kubernetes.fields import evidence, shorten
from fmdj_cloud.control.launchers.kubernetes.pods import Pod

_DELIBERATE = (range(0, 30), range(50, 61))
"""Exit codes that the worker chose, for reasons that a machine's end doesn't cause (storage, GPU, crash: it may)."""
_GPU_WORDS = re.compile(
    r"\bXid\b|fallen off the bus|uncorrectable ECC|no CUDA-capable device|CUDA-capable device\(s\) is/are busy"
    r"|CUDA driver|device-side assert|CUDA error: (?:unknown|device|hardware|an illegal)|GPU is lost",
    re.IGNORECASE,
)
_GPU_RUNTIME = re.compile(
    r"nvidia-container|nvidia\.com|libnvidia|NVML|libcuda|amdgpu|/dev/kfd|CDI devices?", re.IGNORECASE
)
_NO_COMMAND = re.compile(
    r"executable file not found|no such file or directory|permission denied|exec format error|no command specified",
    re.IGNORECASE,
)
_START_REASONS = frozenset({"StartError", "ContainerCannotRun", "RunContainerError", "CreateContainerError"})
_LOST_REASONS = frozenset({"ContainerStatusUnknown", "Unknown"})
_BY_CONDITION = {
    "EvictionByEvictionAPI": Case.DRAINED,
    "DeletionByTaintManager": Case.TAINTED,
    "PreemptionByScheduler": Case.PREEMPTED,
    "DeletionByPodGC": Case.NODE_GONE,
    "TerminationByKubelet": Case.NODE_SHUTDOWN,
}
_BY_REASON = {
    "NodeLost": Case.NODE_GONE,
    "Terminated": Case.NODE_SHUTDOWN,
    "NodeShutdown": Case.NODE_SHUTDOWN,
    "Shutdown": Case.NODE_SHUTDOWN,
    "Preempting": Case.PREEMPTED,
    "DeadlineExceeded": Case.DEADLINE,
    "NodeAffinity": Case.NODE_REFUSED,
    "TaintToleration": Case.NODE_REFUSED,
    "NodePorts": Case.NODE_REFUSED,
    "NodeName": Case.NODE_REFUSED,
    "TopologyAffinityError": Case.NODE_REFUSED,
    "InvalidNodeInfo": Case.NODE_REFUSED,
    "UnknownReason": Case.NODE_REFUSED,
    "UnexpectedPredicateFailureType": Case.NODE_REFUSED,
    "PodOSNotSupported": Case.NODE_REFUSED,
    "PodOSSelectorNodeLabelDoesNotMatch": Case.NODE_REFUSED,
    "SupplementalGroupsPolicyNotSupported": Case.NODE_REFUSED,
}
_SENTENCES = {
    Case.DRAINED: "It was stopped since its machine was cleared (a drain or an autoscaler): not the run's fault.",
    Case.TAINTED: "Its machine stopped answering or was set aside (a NoExecute taint): not the run's fault.",
    Case.PREEMPTED: "A more urgent pod took its place: if that happens often, raise `priority_class` of its profile.",
    Case.NODE_SHUTDOWN: "Its machine was shut down: not the run's fault.",
    Case.NODE_GONE: "Its machine is gone: not the run's fault.",
    Case.NODE_RESTARTED: "Its machine was restarted while it ran: not the run's fault.",
    Case.NODE_SILENT: "Its machine doesn't answer any more, and its pod counts as leaked: look after the machine.",
    Case.DISRUPTED: "Kubernetes stopped it to make room or for maintenance: not the run's fault.",
    Case.POD_DELETED: "Its pod was deleted while it ran: `fmdj cancel` is how to end a run.",
    Case.POD_GONE: "Its Job has failed and its pod is gone without a trace: did somebody delete it?",
    Case.JOB_DELETED: "Its Job was deleted by somebody: `fmdj cancel` is how to end a run.",
    Case.DEADLINE: "It ran past a deadline that the cluster, not fmdj-cloud, sets for Jobs: ask whoever runs it for "
    "longer ones.",
    Case.NODE_REFUSED: "Its machine refused it at the last moment: not the run's fault.",
    Case.GPU_REFUSED: "Its machine couldn't give it the GPU that it had promised: look after that machine's GPUs.",
    Case.NO_TRACE: "Its pod failed, and nothing is left that tells why: see its log.",
}


def outcome_of(case: Case, sentence: str = "", pod: Pod | None = None, **found: object) -> Outcome:
    """Return the outcome of a case.

    Parameters
    ----------
    case : Case
    sentence : str
        Empty takes the case's own.
    pod : Pod, optional
        Named in the evidence.
    **found
        Further evidence.
    """
    where = {"pod": pod.name, "node": pod.node} if pod is not None else {}
    return Outcome(
        failure_class=SIGNS[case].failure,
        sentence=sentence or _SENTENCES.get(case, ""),
        evidence=evidence(case=case.value, **found, **where),
    )


def ending(pod: Pod, *, stopped: bool) -> Outcome | None:
    """Return how a Pod ended, None if nothing tells.

    Parameters
    ----------
    pod : Pod
        One that is over.
    stopped : bool
        Whether its Job is being deleted.
    """
    worker = pod.worker
    ended = worker.ended if worker is not None else None
    if worker is not None and ended is not None and _is_own_word(ended):
        return _own(pod, worker, ended, stopped=False)
    killed = next((c for c in pod.containers if c.ended is not None and c.ended.reason == "OOMKilled"), None)
    if killed is not None:
        return _out_of_memory(pod, killed)
    return (
        _recorded(pod, ended)
        or _never_started(pod, worker, ended)
        or _foreign(pod, ended)
        or (
            _own(pod, worker, ended, stopped=stopped or pod.deleting is not None)
            if worker is not None and ended is not None
            else None
        )
    )


def start_error(pod: Pod, container: str, reason: str, message: str, **found: object) -> Outcome:
    """Return the outcome of a container that the machine couldn't start."""
    if _GPU_RUNTIME.search(message):
        case, sentence = Case.GPU_NOT_STARTED, "Its machine couldn't hand the GPU to the worker: look after its driver."
    elif _NO_COMMAND.search(message):
        case = Case.COMMAND_REFUSED
        sentence = (
            "The image of its profile can't run the worker (no such command, no right to run it, or made for another "
            "processor): correct `image` of its profile."
        )
    else:
        case, sentence = Case.NOT_STARTED, "Its machine couldn't start the worker's container: look after that machine."
    return outcome_of(case, sentence, pod, reason=reason, message=message, container=container, **found)


def _is_own_word(ended: Ended) -> bool:
    deliberate = ended.exit_code is not None and any(ended.exit_code in codes for codes in _DELIBERATE)
    by_itself = ended.signal is None and ended.reason not in (_LOST_REASONS | _START_REASONS | {"OOMKilled"})
    # a low code that isn't ours (1, 2 ...) is a crash, and a crash may come from being stopped
    return deliberate and by_itself and not 0 < (ended.exit_code or 0) < 10


def _own(pod: Pod, worker: Container, ended: Ended, *, stopped: bool) -> Outcome:
    """Return how the worker ended by its exit code and last word."""
    word = ended.word
    outcome = diagnose(ProcessEnd(exit_code=ended.exit_code, signal=ended.signal, stopped=stopped), word)
    code, failure = outcome.evidence["exit_code"], outcome.failure_class
    # a log, where the worker left no last word: what matters is at its end
    said = "" if word is not None else shorten(ended.message, keep_end=True)
    case, sentence = Case.WORKER_EXIT, outcome.sentence
    if outcome.ok:
        case = Case.DONE
    elif failure is FailureClass.CRASH and _GPU_WORDS.search(f"{sentence} {ended.message}"):
        case, sentence = Case.GPU_FAULT, f"The GPU of its machine failed: {sentence}"
    elif stopped and failure is FailureClass.DISRUPTED:
        case, sentence = Case.POD_DELETED, ""
    found = outcome_of(case, sentence, pod, exit_code=code, reason=ended.reason, message=said, container=worker.name)
    kept = found.evidence | {"code": outcome.evidence["code"]} if "code" in outcome.evidence else found.evidence
    return outcome.model_copy(
        update={
            "failure_class": found.failure_class or failure,
            "sentence": found.sentence if not outcome.ok else outcome.sentence,
            "evidence": kept,
        }
    )


def _out_of_memory(pod: Pod, killed: Container) -> Outcome:
    had = pod.requests.get("memory", "")
    sentence = (
        f"The worker needed more than the {had or 'memory'} that it got and was killed (OOMKilled)."
        if killed.is_worker
        else f"The container {killed.name}, which isn't ours, ran out of memory (OOMKilled): raise the limit where it "
        "is put into pods."
    )
    code = killed.ended.exit_code if killed.ended is not None else None
    return outcome_of(Case.OOM_KILLED, sentence, pod, exit_code=code, reason="OOMKilled", container=killed.name)


def _recorded(pod: Pod, ended: Ended | None) -> Outcome | None:
    """Return how it ended by what is recorded of the Pod, or of its node."""
    code = ended.exit_code if ended is not None else None
    if pod.reason == "Evicted":
        evicted, sentence = read_eviction(pod.message, pod)
        return outcome_of(evicted, sentence, pod, reason=pod.reason, message=pod.message, exit_code=code)
    case = _by_reason(pod)
    if case is None and pod.disruption is not None:
        case = _BY_CONDITION.get(pod.disruption.reason, Case.DISRUPTED)
    if case is None and ended is not None and ended.reason in _LOST_REASONS:
        return outcome_of(Case.NODE_RESTARTED, "", pod, exit_code=code, reason=ended.reason, message=ended.message)
    if case is None:
        return None
    why = pod.disruption.reason if pod.disruption is not None else ""
    message = pod.message or (pod.disruption.message if pod.disruption is not None else "")
    return outcome_of(case, "", pod, reason=pod.reason or why, message=message, exit_code=code)


def _by_reason(pod: Pod) -> Case | None:
    if pod.reason.startswith("OutOf"):
        return Case.GPU_REFUSED if "/" in pod.reason else Case.NODE_REFUSED
    if pod.reason == "UnexpectedAdmissionError":
        device = bool(pod.devices) or "device" in pod.message or "Allocate failed" in pod.message
        return Case.GPU_REFUSED if device else Case.NODE_REFUSED
    return _BY_REASON.get(pod.reason)


def _never_started(pod: Pod, worker: Container | None, ended: Ended | None) -> Outcome | None:
    if worker is None or ended is None or ended.reason not in _START_REASONS:
        return None
    return start_error(pod, worker.name, ended.reason, ended.message, exit_code=ended.exit_code)


def _foreign(pod: Pod, ended: Ended | None) -> Outcome | None:
    """Return the failure of a container that isn't ours, where the worker has nothing to say."""
    if ended is not None:
        return None
    failed = next(
        (c for c in pod.containers if not c.is_worker and c.ended is not None and c.ended.exit_code != 0), None
    )
    if failed is None or failed.ended is None:
        return None
    sentence = (
        f"The container {failed.name}, which something put into its pod, failed (exit code {failed.ended.exit_code}) "
        "before the worker could start: ask whoever runs the cluster, or keep it out of these pods."
    )
    return outcome_of(
        Case.FOREIGN_CONTAINER,
        sentence,
        pod,
        exit_code=failed.ended.exit_code,
        reason=failed.ended.reason,
        message=failed.ended.message,
        container=failed.name,
    )
