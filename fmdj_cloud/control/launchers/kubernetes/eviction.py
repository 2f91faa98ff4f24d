"""What a kubelet's eviction of a Pod was for: the Pod's own appetite, or the node's trouble."""

from __future__ import annotations

import re

from fmdj_cloud.control.launchers.kubernetes.cases import Case
from fmdj_cloud.control.launchers.kubernetes.containers import WORKER
from fmdj_cloud.control.launchers.kubernetes.pods import Pod

_OWN_LIMIT = re.compile(r"ephemeral local storage usage exceeds|exceeded its local ephemeral storage limit")
_EMPTY_DIR = re.compile(r'Usage of EmptyDir volume "([^"]*)" exceeds the limit "?([^". ]*)')
_NODE_LOW = re.compile(r"node was low on resource: ([\w/-]+(?:\.[\w/-]+)*)")
_CONSUMER = re.compile(r"Container ([\w-]+) was using ([\w.]+), (?:request is|which exceeds its request of) (\w+)")


def read_eviction(message: str, pod: Pod) -> tuple[Case, str]:
    """Return the case and the sentence of an eviction.

    The kubelet names a container only if it used more than it had asked for, and it takes those first.

    Parameters
    ----------
    message : str
        The kubelet's, from the Pod's status or an Event.
    pod : Pod
    """
    volume = _EMPTY_DIR.search(message)
    if volume is not None and volume[1] in pod.memory_volumes:
        return (
            Case.EVICTED_FOR_SHM,
            f"The worker filled the memory volume {volume[1]} beyond its {volume[2]}: raise `shm_mib` of its profile.",
        )
    if volume is not None:
        return Case.EVICTED_FOR_SCRATCH, f"The worker filled its volume {volume[1]} beyond the {volume[2]} that it got."
    if _OWN_LIMIT.search(message):
        had = pod.requests.get("ephemeral-storage", "")
        return Case.EVICTED_FOR_SCRATCH, f"The worker used more scratch disk than the {had or 'limit'} that it got."
    low = _NODE_LOW.search(message)
    used = next((found for found in _CONSUMER.finditer(message) if _is_worker(found[1], pod)), None)
    if low is not None and used is not None and low[1] in ("memory", "ephemeral-storage"):
        what, case = (
            ("memory", Case.EVICTED_FOR_MEMORY) if low[1] == "memory" else ("scratch disk", Case.EVICTED_FOR_SCRATCH)
        )
        return case, f"The machine ran low on {what}, and the worker used {used[2]} where it had asked for {used[3]}."
    what = f"ran low on {low[1]}" if low is not None else "was under pressure"
    return Case.EVICTED, f"Its machine {what} through others and stopped it: not the run's fault."


def _is_worker(name: str, pod: Pod) -> bool:
    return name == (pod.worker.name if pod.worker is not None else WORKER)
