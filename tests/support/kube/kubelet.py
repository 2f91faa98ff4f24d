"""The kubelets of all nodes: start containers as the script says, stop them when asked, report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from tests.support.kube import environment, errors, podstatus
from tests.support.kube.behaviour import Behaviour, Exit, Running
from tests.support.kube.clock import FakeClock
from tests.support.kube.jobcontroller import key_of
from tests.support.kube.recorder import Recorder
from tests.support.kube.resources import PODS, ResourceType
from tests.support.kube.store import Change, Entry, Key, Object, Store
from tests.support.kube.timers import Timers
from tests.support.kube.writer import Writer

_PULL_AGAIN_S = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)


@dataclasses.dataclass
class Life:
    """A pod on a node."""

    key: Key
    uid: str
    node: str
    behaviour: Behaviour
    stage: str = "creating"
    """``creating``, ``waiting``, ``running``, ``stopping``, ``over``."""
    process: Running | None = None
    text: str = ""
    log_lost: bool = False
    dead: bool = False
    """Its node answers no more."""
    pulls: int = 0
    planned: Exit | None = None


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
        self._images: set[str] = set()
        self.on_trouble: Callable[[Life], None] = lambda life: None
        self.timers = Timers(clock)
        self.paused = False
        self.started = 0
        """Containers started so far."""
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

    def busy(self) -> bool:
        """Return whether real processes run, whose end no timer knows."""
        return bool(self._real)

    def on_node(self, name: str) -> list[Life]:
        """Return pods on a node that are not over."""
        return [life for life in self._lives.values() if life.node == name and life.stage != "over"]

    def _pod(self, life: Life) -> Entry | None:
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
            return self._take(life, pod)
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

    def _say(self, pod: Object, kind: str, reason: str, message: str) -> None:
        self._recorder.record(pod, kind, reason, message, component="kubelet", host=pod["spec"].get("nodeName", ""))

    def edit(self, life: Life, change: Callable[..., None], *arguments: Any, **named: Any) -> Object | None:
        """Change a pod's status by a function of :mod:`podstatus`; None if the pod is gone."""
        if self._pod(life) is None:
            return None
        now = self._clock.stamp()
        entry = self._store.edit(PODS, life.key, lambda pod: change(pod, now, *arguments, **named), "status")
        return None if entry is None else entry.obj

    # starting

    def _take(self, life: Life, pod: Object) -> bool:
        told = life.behaviour
        if told.trouble is not None and told.trouble.kind == "admission":
            reason = told.trouble.reason or "UnexpectedAdmissionError"
            message = told.trouble.message or (
                "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy "
                "devices nvidia.com/gpu, which is unexpected"
            )
            self.edit(life, podstatus.refused, reason, message)
            self._say(pod, "Warning", reason, message)
            life.stage = "over"
            return True
        self.edit(life, podstatus.creating, "10.0.0.1")
        if told.mount:
            self._fail_mount(life, told.mount)
            return True
        missing = environment.missing_volume(pod, self._store)
        if missing:
            self._fail_mount(life, missing)
            return True
        if told.waiting in ("ErrImagePull", "ImagePullBackOff"):
            self._pull(life)
            return True
        image = pod["spec"]["containers"][0]["image"]
        if image not in self._images:
            self._say(pod, "Normal", "Pulling", f'Pulling image "{image}"')
        self.timers.after(told.pull_s + told.start_s, lambda: self._start(life))
        return True

    def _fail_mount(self, life: Life, message: str) -> None:
        with self._store.lock:
            entry = self._pod(life)
            if entry is None or life.stage != "creating":
                return
            healed = life.behaviour.heals_s is not None and life.pulls * 60 >= life.behaviour.heals_s
            if healed or (not life.behaviour.mount and not environment.missing_volume(entry.obj, self._store)):
                self.timers.after(life.behaviour.start_s, lambda: self._start(life))
                return
            life.pulls += 1
            self._say(entry.obj, "Warning", "FailedMount", message)
        self.timers.after(60, lambda: self._fail_mount(life, message))

    def _pull(self, life: Life) -> None:
        with self._store.lock:
            entry = self._pod(life)
            if entry is None or life.stage not in ("creating", "waiting"):
                return
            told, image = life.behaviour, entry.obj["spec"]["containers"][0]["image"]
            since = self._clock() - self._clock.seconds_of(entry.obj["status"]["startTime"])
            if told.heals_s is not None and since >= told.heals_s:
                self.timers.after(told.start_s, lambda: self._start(life))
                return
            life.stage = "waiting"
            why = told.waiting_message or (
                f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
            )
            said = f"rpc error: code = NotFound desc = {why}"
            self._say(entry.obj, "Normal", "Pulling", f'Pulling image "{image}"')
            self._say(entry.obj, "Warning", "Failed", f'Failed to pull image "{image}": {said}')
            self._say(entry.obj, "Warning", "Failed", "Error: ErrImagePull")
            self.edit(life, podstatus.waiting, "ErrImagePull", said)
            life.text = said
            again = _PULL_AGAIN_S[min(life.pulls, len(_PULL_AGAIN_S) - 1)]
            life.pulls += 1
        self.timers.after(1, lambda: self._back_off(life, image))
        self.timers.after(again, lambda: self._pull(life))
        if told.heals_s is not None and 0 < told.heals_s - since < again:
            self.timers.after(told.heals_s - since, lambda: self._pull(life))

    def _back_off(self, life: Life, image: str) -> None:
        with self._store.lock:
            entry = self._pod(life)
            if entry is None or life.stage != "waiting":
                return
            said = f'Back-off pulling image "{image}"'
            self._say(entry.obj, "Normal", "BackOff", said)
            self._say(entry.obj, "Warning", "Failed", "Error: ImagePullBackOff")
            self.edit(life, podstatus.waiting, "ImagePullBackOff", f"{said}: ErrImagePull: {life.text}")

    def _start(self, life: Life) -> None:
        with self._store.lock:
            entry = self._pod(life)
            if entry is None or life.stage not in ("creating", "waiting") or life.dead:
                return
            told, pod = life.behaviour, entry.obj
            if self._waits(life, pod):
                return
            container = pod["spec"]["containers"][0]
            image = container["image"]
            self._images.add(image)
            self._say(pod, "Normal", "Pulled", f'Successfully pulled image "{image}" in 1s (1s including waiting)')
            if told.init is not None and pod["spec"].get("initContainers"):
                init = told.init
                self.edit(life, podstatus.init_ended, code=init.code, reason=init.reason, message=init.message)
                life.stage = "over"
                return
            self._say(pod, "Normal", "Created", f"Container created: {container['name']}")
            self._say(pod, "Normal", "Started", f"Container started: {container['name']}")
            life.stage = "running"
            life.text = told.log
            self.started += 1
            started = self.edit(life, podstatus.running, f"10.1.{self.started // 250 % 250}.{self.started % 250 + 1}")
            start = environment.container_start(started or pod, container, self._store)
        result = told.run(start) if told.run is not None else None
        if isinstance(result, int):
            result = Exit(result)
        if result is not None and not isinstance(result, Exit):
            life.process = result
            self._real[life.uid] = life
            return
        if isinstance(result, Exit):
            life.planned = result
            if result.log is not None:
                life.text += result.log
        if told.lasts_s is not None:
            self.timers.after(told.lasts_s, lambda: self._finish(life, start))
        if told.trouble is not None:
            self.timers.after(told.trouble.after_s, lambda: self.on_trouble(life))

    def _waits(self, life: Life, pod: Object) -> bool:
        """Whether the container can't be made, by the script or by what the pod itself says."""
        told, reason, message = life.behaviour, "", ""
        since = self._clock() - self._clock.seconds_of(pod["status"]["startTime"])
        if told.waiting and (told.heals_s is None or since < told.heals_s):
            reason, message = told.waiting, told.waiting_message
        if not reason:
            reason, message = environment.cannot_start(pod, self._store)
        if not reason:
            return False
        life.stage = "waiting"
        self.edit(life, podstatus.waiting, reason, message)
        self._say(pod, "Warning", "Failed", f"Error: {message or reason}")
        self.timers.after(12, lambda: self._start(life))
        return True

    # ending

    def _finish(self, life: Life, start: Any) -> None:
        if life.stage != "running" or life.dead:
            return
        result = life.planned or life.behaviour.exit
        if life.behaviour.finish is not None:
            told = life.behaviour.finish(start)
            result = told if isinstance(told, Exit) else Exit(int(told or 0))  # type: ignore[call-overload]
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
            entry = self._pod(life)
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
        self._say(pod, "Normal", "Killing", f"Stopping container {pod['spec']['containers'][0]['name']}")
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
            if self._pod(life) is None or life.dead:
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
