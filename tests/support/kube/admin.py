"""How tests drive a cluster that is another process: a few paths next to the API."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.kube import behaviour
from tests.support.kube.admissions import by_broken_webhook, by_quota, by_webhook
from tests.support.kube.api import Response, reply

if TYPE_CHECKING:
    from tests.support.kube.cluster import FakeCluster


class Admin:
    """Answers ``/_fake/...``; needs no token."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    def answer(self, method: str, path: str, body: bytes) -> Response:
        """Answer a request; what fails is 400 with the reason."""
        word = path.partition("?")[0].removeprefix("/_fake/")
        handle = getattr(self, f"_{word.replace('-', '_')}", None)
        if handle is None:
            return reply({"error": f"no such path: {path}"}, 404)
        try:
            told = json.loads(body) if body.strip() else {}
            return reply(handle(told))
        except Exception as error:
            return reply({"error": repr(error)}, 400)

    def _script(self, told: dict[str, Any]) -> Any:
        made = [behaviour.from_json(one) for one in told["behaviours"]]
        self._cluster.script(told.get("match"), *made, times=told.get("times"))
        return {}

    def _fail(self, told: dict[str, Any]) -> Any:
        self._cluster.fail(told.pop("match", None), **told)
        return {}

    def _heal(self, told: dict[str, Any]) -> Any:
        self._cluster.heal()
        return {}

    def _advance(self, told: dict[str, Any]) -> Any:
        self._cluster.advance(float(told.get("seconds", 1)))
        return {"now": self._cluster.clock.stamp(), "seconds": self._cluster.clock.seconds}

    def _go(self, told: dict[str, Any]) -> Any:
        self._cluster.go(float(told.get("speed", 1)))
        return {}

    def _halt(self, told: dict[str, Any]) -> Any:
        self._cluster.halt()
        return {}

    def _requests(self, told: dict[str, Any]) -> Any:
        log = self._cluster.requests
        return {
            "total": len(log),
            "counts": {" ".join(key): count for key, count in sorted(log.counts().items())},
            "codes": {str(code): count for code, count in sorted(log.codes().items())},
        }

    def _clear_requests(self, told: dict[str, Any]) -> Any:
        self._cluster.requests.clear()
        return {}

    def _compact(self, told: dict[str, Any]) -> Any:
        self._cluster.compact()
        return {}

    def _end_watches(self, told: dict[str, Any]) -> Any:
        return {"ended": self._cluster.end_watches(told.get("match"))}

    def _cut_watches(self, told: dict[str, Any]) -> Any:
        return {"cut": self._cluster.cut_watches(told.get("match"))}

    def _expire_token(self, told: dict[str, Any]) -> Any:
        return {"token": self._cluster.expire_token(renewed=bool(told.get("renewed", True)))}

    def _deny(self, told: dict[str, Any]) -> Any:
        self._cluster.deny(told.get("match"))
        return {}

    def _allow(self, told: dict[str, Any]) -> Any:
        self._cluster.allow()
        return {}

    def _refuse(self, told: dict[str, Any]) -> Any:
        how = {"quota": by_quota, "webhook": by_webhook, "broken-webhook": by_broken_webhook}[told["how"]]
        self._cluster.refuse(told.get("resource", "jobs"), told.get("match"), how(), times=told.get("times"))
        return {}

    def _lose_node(self, told: dict[str, Any]) -> Any:
        self._cluster.lose_node(told["name"])
        return {}

    def _strike(self, told: dict[str, Any]) -> Any:
        self._cluster.strike(told["pod"], told["kind"])
        return {}

    def _state(self, told: dict[str, Any]) -> Any:
        cluster = self._cluster
        return {
            "now": cluster.clock.stamp(),
            "resourceVersion": cluster.store.rv,
            "jobs": len(cluster.list("jobs")),
            "pods": len(cluster.list("pods")),
            "containersStarted": cluster.kubelet.started,
            "watches": len(cluster.watches()),
            "crashes": [repr(error) for error in cluster.crashes],
        }
