"""The kubelets of all nodes: start containers as the script says, stop them when asked, report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.kube import errors, podstatus
from tests.support.kube.behaviour import Behaviour, Exit, Running
from tests.support.kube.clock import FakeClock
from tests.support.kube.lives import Life
from tests.support.kube.meta import key_of
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import PODS, ResourceType
from tests.support.kube.starting import Starter
from tests.support.kube.store import Change, Entry, Key, Object, Store
from tests.support.kube.timers import Timers
from tests.support.kube.writer import Writer


class Kubelet:
    """Works off pods that have a node."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        clock: FakeClock,
        recorder: Recorder,
        behaviour: Callable[[Object], Behaviour],
    ) -> None:
        self._store = store
        self._writer = writer
        self._clock = clock
        self._recorder = recorder
        self._behaviour = behaviour
        self._dirty: dict[str, Key] = {}
        self._lives: dict[str, Life] = {}
        self._real: dict[str, Life] = {}
        self.on_trouble: Callable[[Life], None] = lambda life: None
        self.timers = Timers(clock)
        self.paused = False
        self.started = 0
        """Containers started so far."""
        self._starter = Starter(self, store, clock)
        store.listeners.append(self._heard)

    def _heard(self, resource: ResourceType, change: Change) -> None:
        if resource is PODS and change.new.obj["spec"].get("nodeName"):
            self._dirty[change.new.obj["metadata"]["uid"]] = key_of(change.new.obj)

    def sync(self) -> bool:
        """Work off what is due; return whether there was anything."""
        if self.paused:
            return False
        did = False
        while (act := self.timers.due()) is not None:
            act()
            did = True
        for life in list(self._real.values()):
            did |= self._poll(life)
        with self._store.lock:
            dirty, self._dirty = self._dirty, {}
            for uid, key in dirty.items():
                did |= self._look(uid, key)
        return did

    def life(self, uid: str) -> Life | None:
        """Return what is known of a pod."""
        return self._lives.get(uid)

    def on_node(self, name: str) -> list[Life]:
        """Return pods on a node that are not over."""
        return [life for life in self._lives.values() if life.node == name and life.stage != "over"]

    def pod(self, life: Life) -> Entry | None:
        """Return a pod's version of now; None if it is gone."""
        entry = self._store.get(PODS, life.key)
        return entry if entry is not None and entry.obj["metadata"]["uid"] == life.uid else None

    def _look(self, uid: str, key: Key) -> bool:
        life = self._lives.get(uid)
        entry = self._store.get(PODS, key)
        if entry is None or entry.obj["metadata"]["uid"] != uid:
            if life is not None:
                self._bury(life)
            return False
        pod = entry.obj
        if life is None:
            if pod["status"].get("phase") in ("Succeeded", "Failed"):
                return False
            life = Life(key, uid, pod["spec"]["nodeName"], self._behaviour(pod))
            self._lives[uid] = life
            self._starter.take(life, pod)
            return True
        if "deletionTimestamp" in pod["metadata"] and not life.dead:
            if life.stage == "over":
                return self._remove(life, pod)
            if life.stage != "stopping":
                self._stop(life, pod)
                return True
        return False

    def _bury(self, life: Life) -> None:
        life.stage = "over"
        if life.process is not None:
            life.process.kill()
        self._real.pop(life.uid, None)
        self._lives.pop(life.uid, None)

    def _remove(self, life: Life, pod: Object) -> bool:
        if pod["metadata"].get("deletionGracePeriodSeconds") == 0 and pod["metadata"].get("finalizers"):
            return False
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": life.uid}, "propagationPolicy": "Background"}
        self._writer.delete(PODS, life.key, options)
        return True

    def say(self, pod: Object, kind: str, reason: str, message: str) -> None:
        """Record an Event."""
        self._recorder.record(pod, kind, reason, message, component="kubelet", host=pod["spec"].get("nodeName", ""))

    def edit(self, life: Life, change: Callable[..., None], *arguments: Any, **named: Any) -> Object | None:
        """Change a pod's status by a function of :mod:`podstatus`; None if the pod is gone."""
        if self.pod(life) is None:
            return None
        now = self._clock.stamp()
        entry = self._store.edit(PODS, life.key, lambda pod: change(pod, now, *arguments, **named), "status")
        return None if entry is None else entry.obj

    def adopt(self, life: Life, process: Running) -> None:
        """Ask a process from now on whether it has ended."""
        life.process = process
        self._real[life.uid] = life

    def finish(self, life: Life, start: Any) -> None:
        """Let the container end by itself, if it still runs."""
        if life.stage != "running" or life.dead:
            return
        result = life.planned or life.behaviour.exit
        if life.behaviour.finish is not None:
            told = life.behaviour.finish(start)
            result = Exit(told) if isinstance(told, int) else told if isinstance(told, Exit) else result
        self.end(life, result)

    def _poll(self, life: Life) -> bool:
        result = None if life.process is None or life.dead else life.process.poll()
        if result is None:
            return False
        self.end(life, result)
        return True

    def end(self, life: Life, result: Exit) -> None:
        """Let the container have ended."""
        with self._store.lock:
            if life.stage == "over":
                return
            if life.process is not None:
                life.text = life.process.log()
                self._real.pop(life.uid, None)
            if result.log is not None and result is not life.planned:
                life.text += result.log
            life.stage = "over"
            entry = self.pod(life)
            if entry is None:
                return
            pod = self.edit(life, podstatus.ended, code=result.code, reason=result.reason, message=result.message)
            if pod is not None and "deletionTimestamp" in pod["metadata"]:
                self._remove(life, pod)

    def _stop(self, life: Life, pod: Object) -> None:
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        begun, life.stage = life.stage, "stopping"
        if begun in ("creating", "waiting"):
            self.timers.after(min(1.0, grace), lambda: self._never_ran(life))
            return
        self.say(pod, "Normal", "Killing", f"Stopping container {pod['spec']['containers'][0]['name']}")
        if life.process is not None:
            life.process.terminate()
            self.timers.after(grace, lambda: self._kill(life))
            return
        stop_s = life.behaviour.stop_s
        if stop_s is None or stop_s >= grace:
            self.timers.after(grace, lambda: self.end(life, Exit(137)))
        else:
            self.timers.after(stop_s, lambda: self.end(life, life.behaviour.stop_exit))

    def _kill(self, life: Life) -> None:
        if life.process is not None and life.stage != "over":
            life.process.kill()

    def _never_ran(self, life: Life) -> None:
        with self._store.lock:
            if self.pod(life) is None or life.dead:
                return
            life.stage = "over"
            pod = self.edit(life, podstatus.unknown)
            if pod is not None:
                self._remove(life, pod)

    def read_log(self, pod: Object) -> tuple[str, bool]:
        """Return what a pod wrote and whether that is still there.

        Raises
        ------
        ApiError
            500 if its node doesn't answer.
        """
        life = self._lives.get(pod["metadata"]["uid"])
        if life is None:
            return "", False
        if life.dead:
            raise errors.ApiError(
                500,
                f'Get "https://10.0.0.1:10250/containerLogs/{life.key.namespace}/{life.key.name}/worker": dial tcp '
                "10.0.0.1:10250: connect: no route to host",
            )
        text = life.process.log() if life.process is not None and life.stage != "over" else life.text
        return text, not life.log_lost
