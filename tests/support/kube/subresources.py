"""Paths that aren't plain objects: logs, evictions, reviews of one's own rights."""

from __future__ import annotations

from typing import Any

from tests.support.kube import errors, podstatus
from tests.support.kube.api import Api, Response, parse_body, reply
from tests.support.kube.kubelet import Kubelet
from tests.support.kube.requests import Request
from tests.support.kube.resources import PODS
from tests.support.kube.store import Object, Store
from tests.support.kube.troubles import Troubles


class Subresources:
    """Answers them."""

    def __init__(self, api: Api, store: Store, kubelet: Kubelet, troubles: Troubles) -> None:
        self._api = api
        self._store = store
        self._kubelet = kubelet
        self._troubles = troubles
        api.subresources[("get", "pods", "log")] = self.log
        api.subresources[("create", "pods", "eviction")] = self.evict
        api.subresources[("create", "selfsubjectaccessreviews", "")] = self.review

    def _pod(self, request: Request) -> Object:
        entry = self._store.get(PODS, request.key)
        if entry is None:
            raise errors.not_found(PODS, request.name)
        return entry.obj

    def log(self, request: Request) -> Response:
        """Answer ``GET .../log`` as the kubelet does through the API server."""
        pod, query = self._pod(request), request.query
        names = [one["name"] for one in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"])]
        wanted = query.get("container", "")
        if not wanted and len(pod["spec"]["containers"]) > 1:
            raise errors.ApiError(
                400, f"a container name must be specified for pod {request.name}, choose one of: [{' '.join(names)}]"
            )
        wanted = wanted or pod["spec"]["containers"][0]["name"]
        if wanted not in names:
            raise errors.ApiError(400, f"container {wanted} is not valid for pod {request.name}")
        if not pod["spec"].get("nodeName"):
            return Response(204, b"", "text/plain")
        if query.get("previous") in ("true", "1"):
            raise errors.ApiError(400, f'previous terminated container "{wanted}" in pod "{request.name}" not found')
        text, there = self._kubelet.read_log(pod)
        statuses = pod["status"].get("containerStatuses") or pod["status"].get("initContainerStatuses") or ()
        state = next((one["state"] for one in statuses if one["name"] == wanted), {})
        if "waiting" in state:
            reason = state["waiting"].get("reason", "")
            told = {
                "ErrImagePull": "image can't be pulled",
                "ImagePullBackOff": "trying and failing to pull image",
            }.get(reason, reason)
            raise errors.ApiError(400, f'container "{wanted}" in pod "{request.name}" is waiting to start: {told}')
        if "terminated" in state and not state["terminated"].get("containerID"):
            raise errors.ApiError(400, f'container "{wanted}" in pod "{request.name}" is terminated')
        if not there:
            text = f"unable to retrieve container logs for {podstatus.container_id(pod, wanted)}"
            return Response(200, text.encode(), "text/plain")
        return Response(200, _cut(text, query), "text/plain")

    def evict(self, request: Request) -> Response:
        """Evict a pod, as ``kubectl drain`` does."""
        pod = self._pod(request)
        life = self._kubelet.life(pod["metadata"]["uid"])
        if life is not None:
            self._troubles.strike(life, "eviction-api")
        return reply({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}, 201)

    def review(self, request: Request) -> Response:
        """Say whether the caller may do something."""
        body: dict[str, Any] = parse_body(request)
        wanted = body.get("spec", {}).get("resourceAttributes") or {}
        asked = Request(
            wanted.get("verb", ""),
            "",
            resource=wanted.get("resource", ""),
            group=wanted.get("group", ""),
            subresource=wanted.get("subresource", ""),
            namespace=wanted.get("namespace", ""),
            name=wanted.get("name", ""),
        )
        allowed = self._api.allowed(asked)
        status = {"allowed": allowed, **({"reason": "RBAC: allowed by fake"} if allowed else {})}
        review = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}}
        return reply({**review, "spec": body.get("spec", {}), "status": status}, 201)


def _cut(text: str, query: dict[str, str]) -> bytes:
    if "tailLines" in query:
        count = int(query["tailLines"])
        text = "".join(text.splitlines(keepends=True)[-count:]) if count else ""
    data = text.encode()
    return data[: int(query["limitBytes"])] if "limitBytes" in query else data
