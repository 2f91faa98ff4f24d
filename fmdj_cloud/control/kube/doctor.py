"""Is everything there that Jobs need? The part of ``fmdj doctor`` that asks Kubernetes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.finding import Finding, Verdict, judged
from fmdj_cloud.control.kube import labels
from fmdj_cloud.control.kube.client import KubeClient
from fmdj_cloud.control.kube.error import KubeError
from fmdj_cloud.control.kube.lease import lease_name
from fmdj_cloud.control.kube.rights import FACEMAPRUN_RIGHTS, RIGHTS, Right
from fmdj_cloud.errors import FmdjError
from fmdj_cloud.settings import KubernetesSettings, Settings

OLDEST, NEWEST = (1, 31), (1, 36)
"""Versions of Kubernetes that this is made for."""
_REACH = (
    "Set kubernetes.kubeconfig or KUBECONFIG, or run in a pod with a service account; check the network to the server."
)
_KUEUE = "kueue.x-k8s.io"
_FORBIDDEN = 403


def diagnose_kubernetes(settings: Settings) -> Iterator[Finding]:
    """Check what Jobs need, one thing after the other.

    Parameters
    ----------
    settings : Settings

    Yields
    ------
    Finding
        Images of the profiles, the API server and its version, the namespace, this account's rights, FacemapRuns, the
        profiles' queues.
    """
    yield from _images(settings)
    try:
        client = KubeClient(settings.kubernetes)
    except FmdjError as error:
        yield Finding(check="kubernetes", verdict=Verdict.FAIL, found=error.sentence, remedy=_REACH)
        return
    try:
        yield from diagnose_cluster(settings, client)
    finally:
        client.close()


def diagnose_cluster(settings: Settings, client: KubeClient) -> Iterator[Finding]:
    """Check what a cluster offers; if it doesn't answer, that is the only finding.

    Parameters
    ----------
    settings : Settings
    client : KubeClient
    """
    try:
        yield _version(client)
        yield _namespace(client)
        has_facemapruns = _serves(client, labels.GROUP, labels.VERSION)
        rights = RIGHTS + (FACEMAPRUN_RIGHTS if has_facemapruns else ())
        yield _rights(client, rights, {"leases": lease_name(settings.instance)})
        yield _facemapruns(settings, has_facemapruns)
        yield from _queues(settings.kubernetes, client)
    except KubeError as error:
        yield Finding(check="kubernetes", verdict=Verdict.FAIL, found=error.sentence, remedy=_REACH)


def _images(settings: Settings) -> Iterator[Finding]:
    poses = any(pipeline.inference_schema is not None for pipeline in settings.pipelines)
    kinds = (Kind.SVD, Kind.IMPORT, *([Kind.POSE] if poses else []))
    profiles = dict(settings.kubernetes.profile_for(kind) for kind in kinds)
    for name, profile in profiles.items():
        yield judged(
            f"image of {name}",
            bool(profile.image),
            f"{profile.image}." if profile.image else f"Profile {name} has no image: none of its Jobs can be made.",
            f"Set kubernetes.profiles.{name}.image, or that of the profile `default`.",
            Verdict.FAIL,
        )


def _version(client: KubeClient) -> Finding:
    says = client.request("GET", "/version")
    name = str(says.get("gitVersion") or "unknown")
    numbers = [re.match(r"\d+", str(says.get(part, ""))) for part in ("major", "minor")]
    version = tuple(int(number[0]) for number in numbers if number)
    return judged(
        "kubernetes",
        OLDEST <= version <= NEWEST,
        f"The API server answers; Kubernetes {name}.",
        f"This version of fmdj-cloud is made for {_dotted(OLDEST)} to {_dotted(NEWEST)}: others may work.",
    )


def _namespace(client: KubeClient) -> Finding:
    check, name = "kubernetes namespace", client.namespace
    try:
        client.request("GET", f"/api/v1/namespaces/{name}")
    except KubeError as error:
        if error.is_missing:
            remedy = f"kubectl create namespace {name}, or set kubernetes.namespace to one that exists."
            return Finding(check=check, verdict=Verdict.FAIL, found=f"There is no namespace {name}.", remedy=remedy)
        if error.status != _FORBIDDEN:
            raise
        words = f"Jobs go to {name}; whether it exists this account may not ask, nor need it."
        return Finding(check=check, verdict=Verdict.NOT_APPLICABLE, found=words)
    return Finding(check=check, verdict=Verdict.OK, found=f"Jobs go to {name}.")


def _rights(client: KubeClient, rights: Iterable[Right], own: Mapping[str, str]) -> Finding:
    """Ask for rights; of resources in `own` only for the object that is named there: nobody makes one of a name."""
    missing = [
        str(right)
        for right in rights
        if not _may(client, right, "" if right.verb == "create" else own.get(right.resource, ""))
    ]
    found = f"This account may not, in namespace {client.namespace}: {', '.join(missing)}."
    return judged(
        "kubernetes rights",
        not missing,
        found if missing else "This account may do all that the controller does.",
        "Bind the Role of the chart's controller to this account, or add these to the one it has.",
        Verdict.FAIL,
    )


def _may(client: KubeClient, right: Right, name: str) -> bool:
    resource, _, subresource = right.resource.partition("/")
    attributes = {"namespace": client.namespace, "group": right.group, "resource": resource, "verb": right.verb}
    if subresource:
        attributes["subresource"] = subresource
    if name:
        attributes["name"] = name
    review = client.request(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body={
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        },
        idempotent=True,
    )
    return (review.get("status") or {}).get("allowed") is True


def _facemapruns(settings: Settings, there: bool) -> Finding:
    check, kind = "FacemapRun", f"{labels.PLURAL}.{labels.GROUP}/{labels.VERSION}"
    if there:
        return Finding(check=check, verdict=Verdict.OK, found=f"The cluster knows {kind}.")
    if settings.controller.trigger == "facemapruns":
        return Finding(
            check=check,
            verdict=Verdict.FAIL,
            found=f"The cluster doesn't know {kind}, and with controller.trigger=facemapruns nothing else starts runs.",
            remedy="Install the CustomResourceDefinition that comes with the chart, or set controller.trigger=all.",
        )
    return Finding(
        check=check,
        verdict=Verdict.NOT_APPLICABLE,
        found=f"The cluster doesn't know {kind}; everything else works without it.",
    )


def _queues(settings: KubernetesSettings, client: KubeClient) -> Iterator[Finding]:
    queues = dict.fromkeys(profile.kueue_queue for profile in settings.profiles.values() if profile.kueue_queue)
    version = _preferred(client, _KUEUE) if queues else ""
    for queue in queues:
        check = f"queue {queue}"
        if not version:
            remedy = "Install Kueue, or leave kueue_queue empty."
            yield Finding(check=check, verdict=Verdict.FAIL, found="The cluster has no Kueue.", remedy=remedy)
        else:
            yield _queue(check, queue, version, client)


def _queue(check: str, queue: str, version: str, client: KubeClient) -> Finding:
    try:
        found = client.request("GET", f"/apis/{version}/namespaces/{client.namespace}/localqueues/{queue}")
    except KubeError as error:
        if error.is_missing:
            return Finding(
                check=check,
                verdict=Verdict.FAIL,
                found=f"There is no LocalQueue {queue} in namespace {client.namespace}: Jobs would wait for ever.",
                remedy="Create it, or correct kueue_queue in the profile.",
            )
        if error.status != _FORBIDDEN:
            raise
        words = f"Whether LocalQueue {queue} exists this account may not ask, nor need it."
        return Finding(check=check, verdict=Verdict.NOT_APPLICABLE, found=words)
    conditions = {one.get("type"): one for one in (found.get("status") or {}).get("conditions") or ()}
    active = conditions.get("Active", {})
    good = active.get("status", "True") == "True"
    why = active.get("message") or active.get("reason") or "no reason is given."
    return judged(
        check,
        good,
        f"LocalQueue {queue} admits Jobs." if good else f"LocalQueue {queue} admits no Jobs: {why}",
        "Ask whoever runs Kueue: its ClusterQueue is missing or stopped.",
    )


def _serves(client: KubeClient, group: str, version: str) -> bool:
    try:
        client.request("GET", f"/apis/{group}/{version}")
    except KubeError as error:
        if error.is_missing:
            return False
        raise
    return True


def _preferred(client: KubeClient, group: str) -> str:
    """Return group and version that a cluster prefers; empty if it doesn't know the group."""
    try:
        found = client.request("GET", f"/apis/{group}")
    except KubeError as error:
        if error.is_missing:
            return ""
        raise
    return str((found.get("preferredVersion") or {}).get("groupVersion") or "")


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
