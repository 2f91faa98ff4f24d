"""How containers come to run: volumes, images, what they need; and what becomes of those that don't."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.kube import environment, podstatus
from tests.support.kube.behaviour import Exit
from tests.support.kube.clock import FakeClock
from tests.support.kube.lives import Life
from tests.support.kube.store import Object, Store

if TYPE_CHECKING:
    from tests.support.kube.kubelet import Kubelet

_PULL_AGAIN_S = (10.0, 20.0, 40.0, 80.0, 160.0, 300.0)


class Starter:
    """Starts pods of a kubelet."""

    def __init__(self, kubelet: Kubelet, store: Store, clock: FakeClock) -> None:
        self._kubelet = kubelet
        self._store = store
        self._clock = clock
        self._images: set[str] = set()

    def take(self, life: Life, pod: Object) -> None:
        """Begin with a pod that has come to its node."""
        told = life.behaviour
        if told.trouble is not None and told.trouble.kind == "admission":
            reason = told.trouble.reason or "UnexpectedAdmissionError"
            message = told.trouble.message or (
                "Pod was rejected: Allocate failed due to no healthy devices present; cannot allocate unhealthy "
                "devices nvidia.com/gpu, which is unexpected"
            )
            self._kubelet.edit(life, podstatus.refused, reason, message)
            self._kubelet.say(pod, "Warning", reason, message)
            life.stage = "over"
            return
        self._kubelet.edit(life, podstatus.creating, "10.0.0.1")
        if told.mount:
            self._fail_mount(life, told.mount)
            return
        missing = environment.missing_volume(pod, self._store)
        if missing:
            self._fail_mount(life, missing)
            return
        if told.waiting in ("ErrImagePull", "ImagePullBackOff"):
            self._pull(life)
            return
        image = pod["spec"]["containers"][0]["image"]
        if image not in self._images:
            self._kubelet.say(pod, "Normal", "Pulling", f'Pulling image "{image}"')
        self._kubelet.timers.after(told.pull_s + told.start_s, lambda: self._start(life))

    def _fail_mount(self, life: Life, message: str) -> None:
        with self._store.lock:
            entry = self._kubelet.pod(life)
            if entry is None or life.stage != "creating":
                return
            healed = life.behaviour.heals_s is not None and life.pulls * 60 >= life.behaviour.heals_s
            if healed or (not life.behaviour.mount and not environment.missing_volume(entry.obj, self._store)):
                self._kubelet.timers.after(life.behaviour.start_s, lambda: self._start(life))
                return
            life.pulls += 1
            self._kubelet.say(entry.obj, "Warning", "FailedMount", message)
        self._kubelet.timers.after(60, lambda: self._fail_mount(life, message))

    def _pull(self, life: Life) -> None:
        with self._store.lock:
            entry = self._kubelet.pod(life)
            if entry is None or life.stage not in ("creating", "waiting"):
                return
            told, image = life.behaviour, entry.obj["spec"]["containers"][0]["image"]
            since = self._clock() - self._clock.seconds_of(entry.obj["status"]["startTime"])
            if told.heals_s is not None and since >= told.heals_s:
                self._kubelet.timers.after(told.start_s, lambda: self._start(life))
                return
            life.stage = "waiting"
            why = told.waiting_message or (
                f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
            )
            said = f"rpc error: code = NotFound desc = {why}"
            self._kubelet.say(entry.obj, "Normal", "Pulling", f'Pulling image "{image}"')
            self._kubelet.say(entry.obj, "Warning", "Failed", f'Failed to pull image "{image}": {said}')
            self._kubelet.say(entry.obj, "Warning", "Failed", "Error: ErrImagePull")
            self._kubelet.edit(life, podstatus.waiting, "ErrImagePull", said)
            life.text = said
            again = _PULL_AGAIN_S[min(life.pulls, len(_PULL_AGAIN_S) - 1)]
            life.pulls += 1
        self._kubelet.timers.after(1, lambda: self._back_off(life, image))
        self._kubelet.timers.after(again, lambda: self._pull(life))
        if told.heals_s is not None and 0 < told.heals_s - since < again:
            self._kubelet.timers.after(told.heals_s - since, lambda: self._pull(life))

    def _back_off(self, life: Life, image: str) -> None:
        with self._store.lock:
            entry = self._kubelet.pod(life)
            if entry is None or life.stage != "waiting":
                return
            said = f'Back-off pulling image "{image}"'
            self._kubelet.say(entry.obj, "Normal", "BackOff", said)
            self._kubelet.say(entry.obj, "Warning", "Failed", "Error: ImagePullBackOff")
            self._kubelet.edit(life, podstatus.waiting, "ImagePullBackOff", f"{said}: ErrImagePull: {life.text}")

    def _start(self, life: Life) -> None:
        with self._store.lock:
            entry = self._kubelet.pod(life)
            if entry is None or life.stage not in ("creating", "waiting") or life.dead:
                return
            told, pod = life.behaviour, entry.obj
            if self._waits(life, pod):
                return
            container = pod["spec"]["containers"][0]
            image = container["image"]
            self._images.add(image)
            self._kubelet.say(
                pod, "Normal", "Pulled", f'Successfully pulled image "{image}" in 1s (1s including waiting)'
            )
            if told.init is not None and pod["spec"].get("initContainers"):
                init = told.init
                self._kubelet.edit(life, podstatus.init_ended, code=init.code, reason=init.reason, message=init.message)
                life.stage = "over"
                return
            self._kubelet.say(pod, "Normal", "Created", f"Container created: {container['name']}")
            self._kubelet.say(pod, "Normal", "Started", f"Container started: {container['name']}")
            life.stage = "running"
            life.text = told.log
            self._kubelet.started += 1
            started = self._kubelet.edit(
                life, podstatus.running, f"10.1.{self._kubelet.started // 250 % 250}.{self._kubelet.started % 250 + 1}"
            )
            start = environment.container_start(started or pod, container, self._store)
        result = told.run(start) if told.run is not None else None
        if isinstance(result, int):
            result = Exit(result)
        if result is not None and not isinstance(result, Exit):
            self._kubelet.adopt(life, result)
            return
        if isinstance(result, Exit):
            life.planned = result
            if result.log is not None:
                life.text += result.log
        if told.lasts_s is not None:
            self._kubelet.timers.after(told.lasts_s, lambda: self._kubelet.finish(life, start))
        if told.trouble is not None:
            self._kubelet.timers.after(told.trouble.after_s, lambda: self._kubelet.on_trouble(life))

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
        self._kubelet.edit(life, podstatus.waiting, reason, message)
        self._kubelet.say(pod, "Warning", "Failed", f"Error: {message or reason}")
        self._kubelet.timers.after(12, lambda: self._start(life))
        return True


def _address(number: int) -> str:
    return f"10.1.{number // 250 % 250}.{number % 250 + 1}"
