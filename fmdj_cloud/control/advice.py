"""What to do about each class of failure, in the words of a lab."""

from __future__ import annotations

from fmdj_cloud.contracts import FailureClass

ADVICE: dict[FailureClass, str] = {
    FailureClass.INPUT: "Correct the video or the task's parameters as the sentence says; an edited task is planned "
    "again by itself.",
    FailureClass.CONFIG: "Ask whoever installed fmdj-cloud to correct the setting; `fmdj doctor` checks them all.",
    FailureClass.CHANGED: "Its videos kept being replaced while it ran: wait until the upload is complete.",
    FailureClass.STORAGE: "The object store failed again and again: `fmdj doctor` tells whether it answers now.",
    FailureClass.MEMORY: "It needs more memory than its cap allows: raise that (`controller.memory_cap_mib`; on "
    "Kubernetes its profile's `memory_max_mib`), or raise sbin.",
    FailureClass.DISK: "It needs more scratch disk than its cap allows: raise that (`controller.scratch_cap_mib`; on "
    "Kubernetes its profile's `scratch_max_mib`).",
    FailureClass.GPU: "The GPUs that it was given don't work: ask whoever runs the nodes.",
    FailureClass.DISRUPTED: "Its machine was taken away too often: use one that stays.",
    FailureClass.IMAGE: "The worker's image can't be pulled: check its name and the pull secret.",
    FailureClass.UNSCHEDULABLE: "No machine can ever take it: check selectors, taints and resources.",
    FailureClass.BUDGET: "It ran past its time budget twice: raise `controller.min_budget_s`, or look at its log.",
    FailureClass.VANISHED: "Its process disappeared again and again: did somebody delete it, or was the machine "
    "restarted?",
    FailureClass.CRASH: "It crashed again and again: `fmdj logs` shows why; please report it with the log.",
    FailureClass.LOAD: "Its outputs were kept, but they fail the checks: look at them, and correct the input "
    "or the threshold that the sentence names; `fmdj retry KEY --recompute` computes them anew.",
}
