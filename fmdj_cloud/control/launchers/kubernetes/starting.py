"""Why a Pod doesn't compute yet, and whether it ever will."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from fmdj_cloud.contracts import Outcome
from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.containers import Container
from fmdj_cloud.control.launchers.kubernetes.endings import ending, outcome_of, start_error
from fmdj_cloud.control.launchers.kubernetes.events import Event, Events, first_told
from fmdj_cloud.control.launchers.kubernetes.fields import shorten
from fmdj_cloud.control.launchers.kubernetes.pods import Pod
from fmdj_cloud.control.launchers.kubernetes.scheduling import prospect
from fmdj_cloud.settings import KubernetesSettings

_IMAGE = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "ErrImageVolumeMountFailed",
    }
)
_FAILED_START = frozenset(
    {
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
        "CreatePodSandboxError",
        "ConfigPodSandboxError",
        "StartError",
        "ContainerCannotRun",
    }
)
_VOLUME = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedBinding", "ProvisioningFailed")
_SANDBOX = ("FailedCreatePodSandBox", "FailedPodSandBoxStatus", "NetworkNotReady", "FailedCreatePodContainer")
_PREPARED = ("Pulling", "Pulled", "Created", "Started")
"""Told once volumes and network are there."""
_IMAGE_REMEDIES = (
    (
        ("unauthorized", "denied", "authentication", "forbidden", "401", "403"),
        "check the profile's `image_pull_secrets`",
    ),
    (("not found", "manifest unknown", "no such image", "does not exist"), "correct `image` of its profile"),
    (("toomanyrequests", "429", "rate limit"), "give it a pull secret, or a registry of your own"),
    (("no match for platform", "exec format"), "take an image for the processors of those machines"),
    (("is not present with pull policy", "errimageneverpull"), "load the image onto the machines, or let it be pulled"),
)


@dataclass(frozen=True)
class Standing:
    """How a Pod that isn't over stands.

    Attributes
    ----------
    case : Case
    waiting : str
        Why it doesn't compute, empty if it does.
    give_up : Outcome or None
        Why it never will.
    """

    case: Case
    waiting: str = ""
    give_up: Outcome | None = None


def standing(pod: Pod, events: Events, profile: str, now: dt.datetime, settings: KubernetesSettings) -> Standing:
    """Return how a Pod stands that isn't over and isn't being deleted.

    Parameters
    ----------
    pod : Pod
    events : Events
    profile : str
        Name of its profile, for sentences.
    now : datetime
    settings : KubernetesSettings
        For how long trouble may last.
    """
    if pod.worker is not None and (pod.worker.running or pod.worker.ended is not None):
        return _begun(pod, pod.worker, now, settings)
    if not pod.node:
        return _without_node(pod, events, profile, now, settings)
    if not pod.phase and not pod.containers:
        return Standing(Case.STARTING, "Its machine prepares it.")
    for container in pod.containers:
        found = _blocked(pod, container, events, now, settings)
        if found is not None:
            return found
    return _unprepared(pod, events, now, settings) or _preparing(pod, events)


def _begun(pod: Pod, worker: Container, now: dt.datetime, settings: KubernetesSettings) -> Standing:
    if worker.ended is None:
        return Standing(Case.RUNNING)
    left = next((c for c in pod.containers if c.running and not c.is_worker), None)
    if left is None or not _beyond(worker.ended.finished, settings.lost_grace_s, now):
        return Standing(Case.ENDING, "The worker has ended, its pod is being cleared up.")
    words = f"The worker has ended, but the container {left.name}, which something put into its pod, still runs"
    sentence = f"{words}: keep it out of these pods, or make it a native sidecar."
    said = ending(pod, stopped=False)
    if said is None or said.ok:
        said = outcome_of(Case.FOREIGN_LEFT, sentence, pod, container=left.name)
    return Standing(Case.FOREIGN_LEFT, f"{words}.", said)


def _without_node(pod: Pod, events: Events, profile: str, now: dt.datetime, settings: KubernetesSettings) -> Standing:
    if pod.unscheduled is None:
        return Standing(Case.NEW, "It has just been made and waits for a machine.")
    if pod.unscheduled.reason == "SchedulingGated":
        return Standing(Case.QUEUED_BY_KUEUE, "Queued: something holds its pod back (a scheduling gate).")
    found = prospect(pod, events, now, settings.unschedulable_grace_s)
    words = shorten(found.words)
    if found.growing:
        return Standing(Case.SCALE_UP, f"Queued: the cluster is adding a machine for it ({words}).")
    if found.later:
        return Standing(Case.SCALE_UP, f"Queued: the cluster can't add a machine for it now ({shorten(found.later)}).")
    if found.hopeless_since is None:
        return Standing(Case.BUSY, f"Queued: no machine is free for it ({words}).")
    waiting = f"No machine can take it so far ({words})."
    if not _beyond(found.hopeless_since, settings.unschedulable_grace_s, now):
        return Standing(Case.UNSCHEDULABLE, waiting)
    remedy = "make the claim, or correct `kubernetes.mounts`"
    if "persistentvolume" not in words.lower():
        remedy = f"correct `place`, sizes or GPUs of {_profile(profile)}"
    sentence = (
        f"No machine of the cluster can ever take it ({words}): {remedy}; if machines were only down, `fmdj retry` is "
        "enough."
    )
    outcome = outcome_of(
        Case.UNSCHEDULABLE, sentence, pod, reason=pod.unscheduled.reason, message=pod.unscheduled.message
    )
    return Standing(Case.UNSCHEDULABLE, waiting, outcome)


def _blocked(
    pod: Pod, container: Container, events: Events, now: dt.datetime, settings: KubernetesSettings
) -> Standing | None:
    """Return what keeps a container from starting, None if nothing does."""
    found = {"reason": container.reason, "message": container.message, "container": container.name}
    if container.reason == "InvalidImageName":
        sentence = f"The image's name can't be right ({shorten(container.message)}): correct `image` of its profile."
        return Standing(Case.IMAGE_NAME, sentence, outcome_of(Case.IMAGE_NAME, sentence, pod, **found))
    if container.reason in _IMAGE:
        told = [event for event in events.about(pod, "Failed", "BackOff", "InspectFailed") if _is_of_image(event)]
        # the latest Event often says more than the container's status, which only says that it waits
        pulls = [event.message for event in told if event.message.startswith("Failed to pull image")]
        message = pulls[-1] if pulls else container.message
        words = f"Its image can't be fetched ({shorten(message) or container.reason})"
        start = first_told(told, pod.accepted or pod.created)
        sentence = f"{words}: {_image_remedy(message, container.reason)}."
        outcome = outcome_of(Case.IMAGE_PULL, sentence, pod, **found | {"message": message})
        return _patient(Case.IMAGE_PULL, f"{words}.", outcome, start, settings.image_grace_s, now)
    if container.reason == "CreateContainerConfigError":
        told = [event for event in events.about(pod, "Failed") if not _is_of_image(event)]
        words = f"Its container can't be set up ({shorten(container.message)})"
        sentence = f"{words}: make the Secret or key that is missing, or correct the profile."
        outcome = outcome_of(Case.CONTAINER_CONFIG, sentence, pod, **found)
        start = first_told(told, pod.accepted or pod.created)
        return _patient(Case.CONTAINER_CONFIG, f"{words}.", outcome, start, settings.start_grace_s, now)
    if container.reason in _FAILED_START:
        told = [event for event in events.about(pod, "Failed", "FailedPostStartHook") if not _is_of_image(event)]
        words = f"Its container can't be started ({shorten(container.message) or container.reason})."
        outcome = start_error(pod, container.name, container.reason, container.message)
        start = first_told(told, pod.accepted or pod.created)
        return _patient(Case.NOT_STARTED, words, outcome, start, settings.start_grace_s, now)
    return None


def _unprepared(pod: Pod, events: Events, now: dt.datetime, settings: KubernetesSettings) -> Standing | None:
    """Return what is wrong with volumes or network, None if nothing is known to be."""
    prepared = max((e.last for e in events.about(pod, *_PREPARED) if e.last is not None), default=None)
    for case, reasons in ((Case.VOLUME, _VOLUME), (Case.SANDBOX, _SANDBOX)):
        told = events.about(pod, *reasons)
        # the kubelet repeats itself as long as it can't go on
        told = tuple(e for e in told if e.last is None or not _beyond(e.last, settings.start_grace_s, now))
        if not told or pod.prepared or (prepared and told[-1].last and prepared >= told[-1].last):
            continue
        latest = told[-1]
        start = first_told(told, pod.accepted or pod.created)
        if case is Case.VOLUME:
            words = f"A volume of its pod can't be mounted ({shorten(latest.message)})"
            sentence = f"{words}: correct `kubernetes.mounts` or `scratch_class` of its profile."
        else:
            words = f"Its machine can't give its pod a network ({shorten(latest.message)})"
            sentence = f"{words}: look after that machine's network."
        outcome = outcome_of(case, sentence, pod, reason=latest.reason, message=latest.message)
        return _patient(case, f"{words}.", outcome, start, settings.start_grace_s, now)
    return None


def _preparing(pod: Pod, events: Events) -> Standing:
    init = next((c for c in pod.containers if c.is_init and (c.running or c.reason) and c.ended is None), None)
    told = events.about(pod, "Pulling", "Pulled")
    if told and told[-1].reason == "Pulling":
        return Standing(Case.PULLING, f"Its image is being fetched ({shorten(told[-1].message)}).")
    if init is not None and init.running:
        return Standing(Case.STARTING, f"The container {init.name}, which something put into its pod, prepares it.")
    return Standing(Case.STARTING, "Its machine prepares it.")


def _patient(
    case: Case, waiting: str, outcome: Outcome, start: dt.datetime | None, grace_s: float, now: dt.datetime
) -> Standing:
    return Standing(case, waiting, outcome if _beyond(start, grace_s, now) else None)


def _beyond(start: dt.datetime | None, grace_s: float, now: dt.datetime) -> bool:
    return start is not None and (now - start).total_seconds() > grace_s


def _is_of_image(event: Event) -> bool:
    return "image" in event.message.lower() or "ErrImage" in event.message or event.reason == "InspectFailed"


def _image_remedy(message: str, reason: str) -> str:
    words = f"{message} {reason}".lower()
    found = (remedy for signs, remedy in _IMAGE_REMEDIES if any(sign in words for sign in signs))
    return next(found, "check its name, the pull secret and whether the registry answers")


def _profile(name: str) -> str:
    return f"`kubernetes.profiles.{name}`" if name else "its profile"
