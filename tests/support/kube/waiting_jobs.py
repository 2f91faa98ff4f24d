"""Jobs that are not over, of every kind, with what diagnosis must find."""

from __future__ import annotations

from typing import Any, NamedTuple

from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from tests.support.kube.statuses import (
    NO_HELP,
    NO_VICTIMS,
    condition,
    ended,
    event,
    job,
    new_event,
    no_nodes,
    pod,
    running,
    running_job,
    unscheduled,
    waiting,
)

_CLASSES = "config crash disrupted gpu image unschedulable"
CONFIG, CRASH, DISRUPTED, GPU, IMAGE, UNSCHEDULABLE = map(FailureClass, _CLASSES.split())


class Under(NamedTuple):
    """A Job that is not over, and what it must be found to be."""

    job: dict[str, Any]
    pods: list[dict[str, Any]]
    events: list[dict[str, Any]]
    case: Case
    given_up: FailureClass | None


def under(case, given_up, *pods, job=None, events=()):
    """A Job with one living Pod, unless another one is given."""
    return Under(running_job() if job is None else job, list(pods), list(events), case, given_up)


def refused(message, first=1800):
    """The Job controller can't make the Pod."""
    about = job()
    told = event("FailedCreate", f"Error creating: {message}", about=about, first=first, component="job-controller")
    return {"job": about, "events": [told]}


SELECTOR = "3 node(s) didn't match Pod's node affinity/selector"
TAINT = "3 node(s) had untolerated taint {dedicated: other}"
TAINTS = "3 node(s) had untolerated taint(s)"
NO_CLAIMS = " no new claims to deallocate,"
ALL = f"3 {NO_HELP}"
NEVER = no_nodes(SELECTOR, preemption=ALL)
MISSING_SECRET = 'secret "s3-credentials" not found'
PULL = (
    'Failed to pull image "lab/worker:nope": rpc error: code = NotFound desc = failed to pull and unpack image '
    '"docker.io/lab/worker:nope": failed to resolve reference: docker.io/lab/worker:nope: not found'
)
MOUNT = (
    'MountVolume.SetUp failed for volume "mount-0" : mount failed: exit status 32 mount.nfs: Connection refused for nas'
)
QUOTA = (
    'pods "x" is forbidden: exceeded quota: lab, requested: requests.memory=4Gi, used: requests.memory=62Gi, limited: '
    "requests.memory=64Gi"
)
TINY_QUOTA = (
    'pods "x" is forbidden: exceeded quota: lab, requested: limits.memory=16Gi,requests.cpu=2, used: '
    "limits.memory=0,requests.cpu=0, limited: limits.memory=8Gi,requests.cpu=4"
)

WAITINGS = {
    "computes": under(Case.RUNNING, None, pod("Running", worker=running())),
    "computes beside a sidecar": under(Case.RUNNING, None, pod("Running", worker=running(), sidecar=running())),
    "made a moment ago": under(Case.NEW, None, job=job(age=1)),
    "nobody has looked at it yet": under(Case.NEW, None, job={"metadata": {"name": "x", "uid": "y"}, "spec": {}}),
    "a fresh pod without conditions": under(Case.NEW, None, pod("Pending", node="", conditions=(), age=1)),
    "its machine has just been chosen": under(Case.STARTING, None, pod("", age=1)),
    "being set up": under(Case.STARTING, None, pod("Pending", worker=waiting("ContainerCreating"))),
    "an init container prepares it": under(
        Case.STARTING, None, pod("Pending", init=running(20), worker=waiting("PodInitializing"))
    ),
    "a large image": under(
        Case.PULLING,
        None,
        pod("Pending", worker=waiting("ContainerCreating")),
        events=[event("Pulling", 'Pulling image "lab/worker:1"', kind="Normal")],
    ),
    "being stopped": under(Case.ENDING, None, pod("Running", deleting=-20, worker=running())),
    "its Job is being deleted": under(Case.ENDING, None, job=job(deleting=10)),
    "its pod ended, the Job doesn't know yet": under(Case.ENDING, None, pod("Running", worker=ended(0))),
    "its Job has decided, a pod may be left": under(
        Case.ENDING, None, job=job(conditions=(condition("FailureTarget"),), terminating=1)
    ),
    "queued by Kueue": under(Case.QUEUED_BY_KUEUE, None, job=job(suspend=True, queue="lab-queue")),
    "preempted by Kueue, its pod still there": under(
        Case.ENDING, None, pod("Running", deleting=-20, worker=running()), job=job(suspend=True, queue="lab-queue")
    ),
    "paused by hand": under(Case.SUSPENDED, None, job=job(suspend=True)),
    "held by a gate": under(
        Case.QUEUED_BY_KUEUE,
        None,
        unscheduled("Scheduling is blocked due to non-empty scheduling gates", reason="SchedulingGated"),
    ),
    "the quota is used up": under(Case.QUEUED_BY_QUOTA, None, **refused(QUOTA, first=90000)),
    "a quota smaller than one pod": under(Case.QUOTA_TOO_SMALL, UNSCHEDULABLE, **refused(TINY_QUOTA)),
    "a quota that asks for more limits": under(
        Case.POD_REFUSED,
        CONFIG,
        **refused('pods "x" is forbidden: failed quota: lab: must specify limits.cpu for: worker', first=1),
    ),
    "Pod Security": under(
        Case.POD_REFUSED,
        CONFIG,
        **refused('pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes', first=1),
    ),
    "a LimitRange": under(
        Case.POD_REFUSED,
        CONFIG,
        **refused('pods "x" is forbidden: maximum memory usage per Container is 2Gi, but limit is 4Gi', first=1),
    ),
    "a webhook denies its pod": under(
        Case.POD_REFUSED,
        CONFIG,
        **refused('admission webhook "policy.example" denied the request: image isn\'t signed'),
    ),
    "a webhook has denied its pod just now": under(
        Case.POD_REFUSED,
        None,
        **refused('admission webhook "policy.example" denied the request: image isn\'t signed', first=60),
    ),
    "no such ServiceAccount": under(
        Case.POD_REFUSED,
        CONFIG,
        **refused('pods "x" is forbidden: error looking up service account lab/w: serviceaccount "w" not found'),
    ),
    "a webhook that doesn't answer": under(
        Case.STARTING,
        None,
        **refused('Internal error occurred: failed calling webhook "policy.example": context deadline exceeded'),
    ),
    "busy machines": under(
        Case.BUSY,
        None,
        unscheduled(no_nodes("3 Insufficient cpu", "2 Insufficient memory", preemption=f"3 {NO_VICTIMS}"), age=90000),
    ),
    "the GPU machine is busy, the others have none": under(
        Case.BUSY,
        None,
        unscheduled(no_nodes("3 Insufficient nvidia.com/gpu", preemption=f"1 {NO_VICTIMS}, 2 {NO_HELP}"), gpu=1),
    ),
    "busy, and other machines are not for it": under(
        Case.BUSY,
        None,
        unscheduled(
            no_nodes(
                "1 Too many pods",
                "2 node(s) had untolerated taint(s)",
                extra=NO_CLAIMS,
                preemption=f"1 {NO_VICTIMS}, 2 {NO_HELP}",
            )
        ),
    ),
    "too little, whether for good isn't said": under(
        Case.BUSY,
        None,
        unscheduled(no_nodes("3 Insufficient cpu", preemption="not eligible due to preemptionPolicy=Never")),
    ),
    "cordoned machines": under(
        Case.BUSY,
        None,
        unscheduled(
            no_nodes(
                "1 node(s) didn't match Pod's node affinity/selector", "2 node(s) were unschedulable", preemption=ALL
            )
        ),
    ),
    "a machine that is down": under(
        Case.BUSY,
        None,
        unscheduled(no_nodes("3 node(s) had untolerated taint {node.kubernetes.io/unreachable: }", preemption=ALL)),
    ),
    "a cluster without machines": under(Case.BUSY, None, unscheduled("no nodes available to schedule pods")),
    "the scheduler stumbles": under(
        Case.BUSY, None, unscheduled("binding volumes: context deadline exceeded", reason="SchedulerError")
    ),
    "the cluster grows for it": under(
        Case.SCALE_UP,
        None,
        unscheduled(NEVER),
        events=[
            event(
                "TriggeredScaleUp",
                "pod triggered scale-up: [{gpu 0->1 (max: 4)}]",
                last=200,
                component="cluster-autoscaler",
            )
        ],
    ),
    "Karpenter grows the cluster for it": under(
        Case.SCALE_UP,
        None,
        unscheduled(NEVER),
        events=[event("Nominated", "Pod should schedule on: nodeclaim/gpu-x7", last=200, component="karpenter")],
    ),
    "the cluster would grow, but has just failed to": under(
        Case.SCALE_UP,
        None,
        unscheduled(NEVER),
        events=[
            event(
                "NotTriggerScaleUp",
                "pod didn't trigger scale-up: 1 in backoff after failed scale-up",
                component="cluster-autoscaler",
            )
        ],
    ),
    "Karpenter has reached a limit": under(
        Case.SCALE_UP,
        None,
        unscheduled(NEVER),
        events=[
            event(
                "FailedScheduling",
                'Failed to schedule pod, all available instance types exceed limits for nodepool "gpu"',
                component="karpenter",
            )
        ],
    ),
    "no machine has its labels": under(Case.UNSCHEDULABLE, UNSCHEDULABLE, unscheduled(NEVER)),
    "no machine has its labels, since a minute": under(Case.UNSCHEDULABLE, None, unscheduled(NEVER, age=60)),
    "a taint on every machine": under(Case.UNSCHEDULABLE, UNSCHEDULABLE, unscheduled(no_nodes(TAINT, preemption=ALL))),
    "a taint on every machine, as 1.34 says it": under(
        Case.UNSCHEDULABLE, UNSCHEDULABLE, unscheduled(no_nodes(TAINTS, extra=NO_CLAIMS, preemption=ALL))
    ),
    "larger than any machine": under(
        Case.UNSCHEDULABLE,
        UNSCHEDULABLE,
        unscheduled(no_nodes("1 node(s) had untolerated taint(s)", "2 Insufficient memory", preemption=ALL)),
    ),
    "no machine has a GPU": under(
        Case.UNSCHEDULABLE, UNSCHEDULABLE, unscheduled(no_nodes("3 Insufficient nvidia.com/gpu", preemption=ALL), gpu=1)
    ),
    "no such claim": under(
        Case.UNSCHEDULABLE,
        UNSCHEDULABLE,
        unscheduled(no_nodes('persistentvolumeclaim "videos" not found', preemption=f"3 {NO_VICTIMS}")),
    ),
    "no autoscaler has machines for it either": under(
        Case.UNSCHEDULABLE,
        UNSCHEDULABLE,
        unscheduled(NEVER),
        events=[
            event(
                "NotTriggerScaleUp",
                "pod didn't trigger scale-up: 2 node(s) didn't match Pod's node affinity/selector, 1 max node group "
                "size reached",
                component="cluster-autoscaler",
            ),
            event(
                "FailedScheduling",
                "Failed to schedule pod, incompatible requirements, label gpu does not have known values",
                component="karpenter",
            ),
        ],
    ),
    "hopeless since a machine went a minute ago": under(
        Case.UNSCHEDULABLE,
        None,
        unscheduled(NEVER, age=7200),
        events=[new_event("FailedScheduling", no_nodes("3 Insufficient cpu", preemption=f"3 {NO_VICTIMS}"), last=60)],
    ),
    "hopeless since its gate was opened a minute ago": under(
        Case.UNSCHEDULABLE,
        None,
        unscheduled(NEVER, age=7200),
        events=[new_event("FailedScheduling", NEVER, first=60)],
    ),
    "an image that isn't there": under(
        Case.IMAGE_PULL, IMAGE, pod("Pending", worker=waiting("ErrImagePull", PULL)), events=[event("Failed", PULL)]
    ),
    "an image that isn't there, in a pause": under(
        Case.IMAGE_PULL,
        IMAGE,
        pod("Pending", worker=waiting("ImagePullBackOff", 'Back-off pulling image "lab/worker:nope"')),
        events=[event("Failed", PULL), event("BackOff", 'Back-off pulling image "lab/worker:nope"', kind="Normal")],
    ),
    "an image that isn't there, since a minute": under(
        Case.IMAGE_PULL,
        None,
        pod("Pending", accepted=3000, worker=waiting("ErrImagePull", PULL)),
        events=[event("Failed", PULL, first=60)],
    ),
    "an image that isn't there, and no Events": under(
        Case.IMAGE_PULL, IMAGE, pod("Pending", accepted=601, worker=waiting("ErrImagePull", PULL))
    ),
    "an image that may not be pulled": under(
        Case.IMAGE_PULL,
        IMAGE,
        pod(
            "Pending",
            worker=waiting("ErrImageNeverPull", 'Container image "x" is not present with pull policy of Never'),
        ),
    ),
    "an init container's image": under(
        Case.IMAGE_PULL,
        IMAGE,
        pod("Pending", init=waiting("ImagePullBackOff"), worker=waiting("PodInitializing")),
    ),
    "an image's name that can't be": under(
        Case.IMAGE_NAME,
        CONFIG,
        pod(
            "Pending", age=1, worker=waiting("InvalidImageName", "couldn't parse image name: invalid reference format")
        ),
    ),
    "a Secret that isn't there": under(
        Case.CONTAINER_CONFIG,
        CONFIG,
        pod("Pending", worker=waiting("CreateContainerConfigError", MISSING_SECRET)),
        events=[event("Failed", f"Error: {MISSING_SECRET}")],
    ),
    "a Secret that isn't there, since a minute": under(
        Case.CONTAINER_CONFIG,
        None,
        pod("Pending", accepted=3000, worker=waiting("CreateContainerConfigError", MISSING_SECRET)),
        events=[event("Failed", f"Error: {MISSING_SECRET}", first=60)],
    ),
    "a container that can't be made": under(
        Case.NOT_STARTED, CRASH, pod("Pending", worker=waiting("CreateContainerError", "context deadline exceeded"))
    ),
    "a container without a command": under(
        Case.NOT_STARTED, CONFIG, pod("Pending", worker=waiting("CreateContainerError", "no command specified"))
    ),
    "a GPU that can't be handed over": under(
        Case.NOT_STARTED, GPU, pod("Pending", worker=waiting("RunContainerError", "nvidia-container-cli: mount error"))
    ),
    "a volume that doesn't mount": under(
        Case.VOLUME, CONFIG, pod("Pending", worker=waiting("ContainerCreating")), events=[event("FailedMount", MOUNT)]
    ),
    "a volume that doesn't mount, since a minute": under(
        Case.VOLUME,
        None,
        pod("Pending", worker=waiting("ContainerCreating")),
        events=[event("FailedMount", MOUNT, first=60)],
    ),
    "a volume that another machine has": under(
        Case.VOLUME,
        CONFIG,
        pod("Pending", worker=waiting("ContainerCreating")),
        events=[
            event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"', component="attachdetach-controller")
        ],
    ),
    "a volume that mounted late, and a large image": under(
        Case.PULLING,
        None,
        pod("Pending", worker=waiting("ContainerCreating")),
        events=[
            event("FailedMount", MOUNT, first=1800, last=1500),
            event("Pulling", 'Pulling image "lab/worker:1"', first=1200, last=1200, kind="Normal"),
        ],
    ),
    "a volume that mounted late, the kubelet says so": under(
        Case.STARTING,
        None,
        pod(
            "Pending",
            conditions=(condition("PodScheduled"), condition("PodReadyToStartContainers")),
            worker=waiting("ContainerCreating"),
        ),
        events=[event("FailedMount", MOUNT, last=100)],
    ),
    "no network on its machine": under(
        Case.SANDBOX,
        DISRUPTED,
        pod("Pending", worker=waiting("ContainerCreating")),
        events=[event("FailedCreatePodSandBox", "Failed to create pod sandbox: failed to assign an IP address")],
    ),
    "a sidecar that stays": under(
        Case.FOREIGN_LEFT, CONFIG, pod("Running", worker=ended(0, finished=301), sidecar=running())
    ),
    "a sidecar that stays after a crash": under(
        Case.FOREIGN_LEFT, CRASH, pod("Running", worker=ended(1, finished=301), sidecar=running())
    ),
    "a sidecar that may still go": under(
        Case.ENDING, None, pod("Running", worker=ended(0, finished=60), sidecar=running())
    ),
}
