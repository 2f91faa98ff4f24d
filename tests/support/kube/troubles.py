"""What happens to running pods from outside."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.kube import podstatus
from tests.support.kube.behaviour import Exit
from tests.support.kube.clock import FakeClock
from tests.support.kube.kubelet import Kubelet
from tests.support.kube.lives import Life
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import PODS
from tests.support.kube.store import Object, Store
from tests.support.kube.writer import Writer

UNREACHABLE_S = 300.0
"""How long pods stay on a node that doesn't answer before they are deleted."""
_PRESSURE = {
    "memory-pressure": "The node was low on resource: memory. Threshold quantity: 100Mi, available: 57932Ki. Container "
    "worker was using 3145728Ki, request is 1Gi, has larger consumption of memory. ",
    "disk-pressure": "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. "
    "Container worker was using 20Gi, request is 1Gi, has larger consumption of ephemeral-storage. ",
}
_LIMITS = {
    "ephemeral-limit": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
    "emptydir-limit": 'Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ',
}
_SHUTDOWN = "Pod was terminated in response to imminent node shutdown."
_REASONS = {
    "eviction-api": ("EvictionByEvictionAPI", "Eviction API: evicting"),
    "taint": ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
    "preempted": ("PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod"),
    "podgc": ("DeletionByPodGC", "PodGC: node no longer exists"),
}


class Troubles:
    """Does to a pod what its script says."""

    def __init__(self, store: Store, writer: Writer, clock: FakeClock, recorder: Recorder, kubelet: Kubelet) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._recorder = recorder
        self._kubelet = kubelet
        kubelet.on_trouble = lambda life: self.strike(life)

    def strike(self, life: Life, kind: str = "") -> None:
        """Let something happen to a pod: what its behaviour says, or a ``kind`` of it."""
        trouble = life.behaviour.trouble
        kind = kind or ("" if trouble is None else trouble.kind)
        message = "" if trouble is None else trouble.message
        with self._store.lock:
            if life.stage == "over" or (life.dead and kind != "podgc"):
                return
            if kind in _PRESSURE or kind in _LIMITS:
                self._evict(life, kind, message)
            elif kind in ("eviction-api", "taint", "preempted"):
                self._disrupt(life, kind, message)
            elif kind == "oom":
                self._kubelet.end(life, Exit(137, reason="OOMKilled"))
            elif kind == "shutdown":
                self._shut_down(life)
            elif kind == "node-lost":
                self.lose(life)
            elif kind == "podgc":
                self._collect(life)
            elif kind == "deleted":
                self._delete(life, None)
            elif kind == "vanish":
                self._store.remove(PODS, life.key)
            else:
                raise ValueError(f"unknown trouble {kind!r}")

    def _edit(self, life: Life, change: Callable[[Object, str], None]) -> Object | None:
        return self._kubelet.edit(life, change)

    def _delete(self, life: Life, grace: int | None) -> None:
        options = {"propagationPolicy": "Background", "preconditions": {"uid": life.uid}}
        self._writer.delete(PODS, life.key, {**options, **({} if grace is None else {"gracePeriodSeconds": grace})})

    def _evict(self, life: Life, kind: str, message: str) -> None:
        text = message or _PRESSURE.get(kind) or _LIMITS[kind]
        pressed = kind in _PRESSURE

        def change(pod: Object, now: str) -> None:
            if kind == "disk-pressure":
                podstatus.unknown(pod, now)
            else:
                podstatus.ended(pod, now, code=137, reason="Error", message="")
            podstatus.refused(pod, now, "Evicted", text)
            if pressed:
                podstatus.set_condition(pod, now, "DisruptionTarget", True, "TerminationByKubelet", text)

        self._kill(life)
        pod = self._edit(life, change)
        life.log_lost = True
        if pod is not None:
            self._say(pod, "Warning", "Evicted", text, "kubelet")

    def _kill(self, life: Life) -> None:
        if life.process is not None:
            life.process.kill()
            life.text = life.process.log()
        life.stage = "over"

    def _disrupt(self, life: Life, kind: str, message: str) -> None:
        reason, text = _REASONS[kind]

        def change(pod: Object, now: str) -> None:
            podstatus.set_condition(pod, now, "DisruptionTarget", True, reason, message or text)

        pod = self._edit(life, change)
        if pod is None:
            return
        if kind == "preempted":
            said = f"Preempted by pod 6f1f3b7c-0000-4000-8000-000000000000 on node {life.node}"
            self._recorder.record(pod, "Normal", "Preempted", said, component="default-scheduler", action="Preempting")
        elif kind == "taint":
            said = f"Marking for deletion Pod {life.key.namespace}/{life.key.name}"
            self._say(pod, "Normal", "TaintManagerEviction", said, "taint-eviction-controller")
        self._delete(life, None)

    def _shut_down(self, life: Life) -> None:
        def change(pod: Object, now: str) -> None:
            podstatus.ended(pod, now, code=143, reason="Error", message="")
            podstatus.refused(pod, now, "Terminated", _SHUTDOWN)
            podstatus.set_condition(pod, now, "DisruptionTarget", True, "TerminationByKubelet", _SHUTDOWN)

        self._kill(life)
        self._edit(life, change)

    def _collect(self, life: Life) -> None:
        reason, text = _REASONS["podgc"]

        def change(pod: Object, now: str) -> None:
            podstatus.set_condition(pod, now, "DisruptionTarget", True, reason, text)
            pod["status"]["phase"] = "Failed"

        life.dead = True
        life.stage = "over"
        self._edit(life, change)
        self._delete(life, 0)

    def lose(self, life: Life) -> None:
        """The pod's node answers no more: the pod stays as it is, five minutes later it is being deleted, for ever."""

        def unready(pod: Object, now: str) -> None:
            podstatus.set_condition(pod, now, "Ready", False)

        life.dead = True
        pod = self._edit(life, unready)
        if pod is not None:
            self._say(pod, "Warning", "NodeNotReady", "Node is not ready", "node-controller")
        self._kubelet.timers.after(UNREACHABLE_S, lambda: self._give_up(life))

    def _give_up(self, life: Life) -> None:
        with self._store.lock:
            entry = self._store.get(PODS, life.key)
            if not life.dead or entry is None or entry.obj["metadata"]["uid"] != life.uid:
                return
            self._disrupt(life, "taint", "")

    def _say(self, pod: Object, kind: str, reason: str, message: str, component: str) -> None:
        host = pod["spec"].get("nodeName", "") if component == "kubelet" else ""
        self._recorder.record(pod, kind, reason, message, component=component, host=host)
