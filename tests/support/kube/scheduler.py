"""The scheduler: puts pods on nodes with room, and says why the others wait."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.support.kube import quantities
from tests.support.kube.behaviour import Behaviour
from tests.support.kube.clock import FakeClock
from tests.support.kube.meta import key_of
from tests.support.kube.podstatus import set_condition
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import CLAIMS, NODES, PODS, ResourceType
from tests.support.kube.store import Change, Key, Object, Store
from tests.support.kube.timers import Timers

_ME = "default-scheduler"


class Scheduler:
    """Works off pods without a node whenever something changed that may help them."""

    def __init__(
        self, store: Store, clock: FakeClock, recorder: Recorder, behaviour: Callable[[Object], Behaviour]
    ) -> None:
        self._store = store
        self._clock = clock
        self._recorder = recorder
        self._behaviour = behaviour
        self._waiting: dict[Key, float] = {}
        self._used: dict[str, Counter[str]] = {}
        self._placed: dict[str, tuple[str, dict[str, Decimal]]] = {}
        self._stale = True
        self.timers = Timers(clock)
        self.paused = False
        store.listeners.append(self._heard)

    def _heard(self, resource: ResourceType, change: Change) -> None:
        if resource is NODES or resource is CLAIMS:
            self._stale = True
        if resource is not PODS:
            return
        pod, key = change.new.obj, key_of(change.new.obj)
        node = pod["spec"].get("nodeName")
        over = change.type == "DELETED" or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        uid = pod["metadata"]["uid"]
        if over:
            self._free(uid)
            self._waiting.pop(key, None)
        elif node:
            self._waiting.pop(key, None)
            self._take(uid, node, pod)
        elif "deletionTimestamp" in pod["metadata"]:
            self._waiting.pop(key, None)
        elif key not in self._waiting:
            self._waiting[key] = self._clock()
            self._stale = True

    def _take(self, uid: str, node: str, pod: Object) -> None:
        if uid in self._placed:
            return
        wanted = quantities.requests_of(pod)
        wanted["pods"] = Decimal(1)
        self._placed[uid] = (node, wanted)
        self._used.setdefault(node, Counter()).update(wanted)

    def _free(self, uid: str) -> None:
        found = self._placed.pop(uid, None)
        if found is not None:
            self._used[found[0]].subtract(found[1])
            self._stale = True

    def sync(self) -> bool:
        """Place what can be placed; return whether anything changed."""
        if self.paused:
            return False
        did = False
        while (act := self.timers.due()) is not None:
            act()
            did = self._stale = True
        with self._store.lock:
            if not self._stale:
                return did
            self._stale = False
            nodes = [entry.obj for entry in self._store.list(NODES)]
            hopeless: dict[str, str] = {}
            for key in sorted(self._waiting, key=self._order):
                did |= self._place(key, nodes, hopeless)
        return did

    def _order(self, key: Key) -> tuple[int, float, Key]:
        pod = self._store.get(PODS, key)
        priority = 0 if pod is None else pod.obj["spec"].get("priority", 0)
        return -priority, self._waiting[key], key

    def _place(self, key: Key, nodes: list[Object], hopeless: dict[str, str]) -> bool:
        entry = self._store.get(PODS, key)
        if entry is None:
            return False
        pod = entry.obj
        if pod["spec"].get("schedulerName", _ME) != _ME or pod["spec"].get("schedulingGates"):
            return False
        told = self._behaviour(pod)
        waited = self._clock() - self._waiting[key]
        healed = told.heals_s is not None and waited >= told.heals_s
        if told.gates and not healed:
            self._heal_later(told, waited)
            return False
        if told.unschedulable and not healed:
            self._heal_later(told, waited)
            return self._refuse(pod, told.unschedulable, told)
        shape = json.dumps([pod["spec"].get(name) for name in ("nodeSelector", "affinity", "tolerations", "volumes")])
        shape += str(sorted(quantities.requests_of(pod).items()))
        if shape not in hopeless:
            node, why = self._find(pod, nodes)
            if node is not None:
                self._bind(pod, node)
                return True
            hopeless[shape] = why
        return self._refuse(pod, hopeless[shape], told)

    def _heal_later(self, told: Behaviour, waited: float) -> None:
        if told.heals_s is not None:
            self.timers.after(told.heals_s - waited, lambda: None)

    def _find(self, pod: Object, nodes: list[Object]) -> tuple[str | None, str]:
        for volume in pod["spec"].get("volumes") or ():
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim and self._store.get(CLAIMS, Key(pod["metadata"]["namespace"], claim)) is None:
                why = f'persistentvolumeclaim "{claim}" not found'
                return None, _explain(len(nodes), Counter({why: len(nodes)}), helpful=0) if nodes else why
        if not nodes:
            return None, "no nodes available to schedule pods"
        reasons: Counter[str] = Counter()
        helpful = 0
        for node in nodes:
            found, resolvable = self._fit(pod, node)
            if not found:
                return node["metadata"]["name"], ""
            reasons.update(found)
            helpful += resolvable
        return None, _explain(len(nodes), reasons, helpful=helpful)

    def _fit(self, pod: Object, node: Object) -> tuple[list[str], bool]:
        """Return what is against a node, and whether removing pods from it could help."""
        spec, labels = node.get("spec") or {}, node["metadata"].get("labels") or {}
        if spec.get("unschedulable"):
            return ["node(s) were unschedulable"], False
        if not selects(pod["spec"], labels, node["metadata"]["name"]):
            return ["node(s) didn't match Pod's node affinity/selector"], False
        taint = untolerated(pod["spec"].get("tolerations") or (), spec.get("taints") or ())
        if taint is not None:
            return ["node(s) had untolerated taint(s)"], False
        room, reasons, resolvable = (node.get("status") or {}).get("allocatable") or {}, [], True
        used = self._used.get(node["metadata"]["name"], Counter())
        wanted = quantities.requests_of(pod)
        if used["pods"] + 1 > quantities.parse(room.get("pods", "110")):
            reasons.append("Too many pods")
        for name, amount in wanted.items():
            whole = quantities.parse(room.get(name, "0"))
            if amount and used[name] + amount > whole:
                reasons.append(f"Insufficient {name}")
                resolvable = resolvable and amount <= whole
        return reasons, resolvable

    def _bind(self, pod: Object, node: str) -> None:
        def bind(obj: Object) -> None:
            obj["spec"]["nodeName"] = node
            set_condition(obj, self._clock.stamp(), "PodScheduled", True)

        new = self._store.edit(PODS, key_of(pod), bind, "spec", "status")
        assert new is not None
        meta = pod["metadata"]
        message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
        self._recorder.record(new.obj, "Normal", "Scheduled", message, component=_ME, action="Binding")

    def _refuse(self, pod: Object, why: str, told: Behaviour) -> bool:
        def refuse(obj: Object) -> None:
            set_condition(obj, self._clock.stamp(), "PodScheduled", False, "Unschedulable", why)

        before = self._store.get(PODS, key_of(pod))
        after = self._store.edit(PODS, key_of(pod), refuse, "status")
        if before is after or after is None:
            return False
        self._recorder.record(after.obj, "Warning", "FailedScheduling", why, component=_ME, action="Scheduling")
        if told.scale_up == "triggered":
            message = "pod triggered scale-up: [{gpu-pool 0->1 (max: 4)}]"
            self._recorder.record(after.obj, "Normal", "TriggeredScaleUp", message, component="cluster-autoscaler")
        elif told.scale_up:
            message = "pod didn't trigger scale-up: 1 node(s) didn't match Pod's node affinity/selector"
            self._recorder.record(after.obj, "Normal", "NotTriggerScaleUp", message, component="cluster-autoscaler")
        return True


def selects(spec: dict[str, Any], labels: dict[str, str], name: str) -> bool:
    """Return whether a pod's nodeSelector and required node affinity admit a node."""
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if affinity is None:
        return True
    return any(
        all(_expression(one, labels) for one in term.get("matchExpressions") or ())
        and all(_expression(one, {"metadata.name": name}) for one in term.get("matchFields") or ())
        for term in affinity["nodeSelectorTerms"]
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _expression(one: dict[str, Any], labels: dict[str, str]) -> bool:
    key, operator, values = one["key"], one["operator"], one.get("values") or []
    value = labels.get(key)
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if value is None or not value.lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def untolerated(tolerations: Any, taints: Any, effects: tuple[str, ...] = ("NoSchedule", "NoExecute")) -> Any:
    """Return the first taint that is not tolerated, or None."""
    for taint in taints:
        if taint["effect"] in effects and not any(_tolerates(one, taint) for one in tolerations):
            return taint
    return None


def _tolerates(toleration: dict[str, Any], taint: dict[str, Any]) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return True
    return toleration.get("value", "") == taint.get("value", "")


def _explain(nodes: int, reasons: Counter[str], *, helpful: int) -> str:
    """Say why no node takes a pod, in the scheduler's words."""
    said = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    hints = []
    if nodes - helpful:
        hints.append(f"{nodes - helpful} Preemption is not helpful for scheduling")
    if helpful:
        hints.append(f"{helpful} No preemption victims found for incoming pod")
    head = f"0/{nodes} nodes are available"
    return f"{head}: {said}. no new claims to deallocate, preemption: {head}: {', '.join(hints)}."
