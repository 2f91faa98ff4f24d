"""A whole cluster in this process: the API server over HTTP, controllers that move when told to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

from tests.support.kube.access import Access
from tests.support.kube.admin import Admin
from tests.support.kube.admissions import Admissions, Refusal, Refuser
from tests.support.kube.api import Api
from tests.support.kube.behaviour import Behaviour, PodMatch, Script
from tests.support.kube.clock import START, FakeClock
from tests.support.kube.collector import Collector
from tests.support.kube.definitions import Definitions
from tests.support.kube.engine import Engine
from tests.support.kube.faults import Faults
from tests.support.kube.front import Front
from tests.support.kube.jobcontroller import JobController
from tests.support.kube.kubelet import Kubelet
from tests.support.kube.kueue import Kueue
from tests.support.kube.lists import Lister
from tests.support.kube.lives import Life
from tests.support.kube.objects import Objects
from tests.support.kube.recorder import Recorder
from tests.support.kube.requests import RequestLog, RequestMatch
from tests.support.kube.resources import NODES, Registry
from tests.support.kube.scheduler import Scheduler
from tests.support.kube.store import Key, Object, Store
from tests.support.kube.subresources import Subresources
from tests.support.kube.troubles import Troubles
from tests.support.kube.writer import Writer


class FakeCluster(Front, Objects):
    """A Kubernetes that a test owns; a context manager.

    Nothing moves by itself: :meth:`step`, :meth:`advance` and :meth:`run_until` move the clock and let the Job
    controller, scheduler, kubelets and garbage collector work; or :meth:`go` lets it run with real time.

    Parameters
    ----------
    *namespaces : str
        The first is the one meant where none is named; ``lab`` if there are none.
    start : datetime
        The cluster's time at the start.
    big_node : bool
        Whether there is one node with room for everything (but no GPUs); else add some by :meth:`add_node`.
    token : str
        What clients must show.
    seed : int
        Of UIDs and pod names.
    port : int
        Where to listen; 0 is any free one.
    secure : bool
        HTTPS with a certificate of its own. kubectl shows its token only then.
    """

    def __init__(
        self,
        *namespaces: str,
        start: dt.datetime = START,
        big_node: bool = True,
        token: str = "fake-token",
        seed: int = 0,
        port: int = 0,
        secure: bool = False,
    ) -> None:
        self.namespace = (namespaces or ("lab",))[0]
        self.clock = FakeClock(start)
        self.store = Store()
        self.registry = Registry()
        self.writer = Writer(self.store, self.clock, seed=seed)
        self.access = Access(token, secure=secure)
        self.scripted = Script()
        self.faults = Faults()
        self.requests = RequestLog()
        self.recorder = Recorder(self.store, self.clock)
        lister = Lister(self.store, self.clock)
        self.api = Api(self.store, self.registry, self.writer, lister)
        self.api.allowed = self.access.allows
        self.definitions = Definitions(self.store, self.registry, self.writer, self.clock, lister.tables)
        self.jobs = JobController(self.store, self.writer, self.clock, self.recorder)
        self.scheduler = Scheduler(self.store, self.clock, self.recorder, self._behaviour)
        self.kubelet = Kubelet(self.store, self.writer, self.clock, self.recorder, self._behaviour)
        self.troubles = Troubles(self.store, self.writer, self.clock, self.recorder, self.kubelet)
        self.collector = Collector(self.store, self.writer, self.clock, self.recorder)
        self.admissions = Admissions(self.store)
        self.writer.admission.append(self.admissions)
        Subresources(self.api, self.store, self.kubelet, self.troubles)
        self.admin = Admin(self)
        self.kueue = Kueue(self.store, self.clock, self.recorder)
        workers = (self.definitions, self.kueue, self.jobs, self.scheduler, self.kubelet, self.collector)
        self.engine = Engine(self.clock, self.store, workers)
        self.crashes = self.engine.crashes
        """What went wrong in the fake itself; raised at the end."""
        self._behaviours: dict[str, Behaviour] = {}
        Front.__init__(self, port)
        for namespace in dict.fromkeys(("default", "kube-system", *(namespaces or ("lab",)))):
            self.add_namespace(namespace)
        if big_node:
            self.add_node("node-1", cpu="100000", memory="1Pi", pods="1000000", **{"ephemeral-storage": "1Pi"})

    # being there

    def __enter__(self) -> FakeCluster:
        self.serve()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self.crashes:
            raise self.crashes[0]

    def close(self) -> None:
        """Stop everything."""
        self.halt()
        self.faults.clear()
        self.stop_serving()

    # who may what

    @property
    def token(self) -> str:
        """The token that is good now."""
        return self.access.token

    def kubeconfig(self, path: Path | str, *, token_file: Path | None = None) -> Path:
        """Write a kubeconfig; with a ``token_file`` the token is there, as a service account's is."""
        self.access.kubeconfig(Path(path), url=self.url, namespace=self.namespace, token_file=token_file)
        return Path(path)

    def account_folder(self, path: Path | str) -> Path:
        """Write what a pod finds of its ServiceAccount: token, namespace and the server's certificate."""
        self.access.account_folder(Path(path), self.namespace)
        return Path(path)

    def expire_token(self, *, renewed: bool = True) -> str:
        """Let the token expire; ``renewed`` writes the new one to all kubeconfigs and token files. Return it."""
        self.access.expire()
        if renewed:
            self.access.renew()
        return self.token

    def renew_token(self) -> None:
        """Write the token of now to all kubeconfigs and token files."""
        self.access.renew()

    def deny(self, match: RequestMatch) -> None:
        """Take a right away: requests like this are answered 403, and reviews of rights say so."""
        self.access.denied.append(match)

    def allow(self) -> None:
        """Give all rights back."""
        self.access.denied.clear()

    # what pods do, and what happens to them

    def script(self, match: PodMatch, *behaviours: Behaviour, times: int | None = None) -> None:
        """Say what pods do (see :class:`~tests.support.kube.behaviour.Script`)."""
        self.scripted.add(match, *behaviours, times=times)

    def _behaviour(self, pod: Object) -> Behaviour:
        uid = pod["metadata"]["uid"]
        if uid not in self._behaviours:
            self._behaviours[uid] = self.scripted.pick(pod)
        return self._behaviours[uid]

    def life(self, pod: str, namespace: str = "") -> Life:
        """Return what the kubelet knows of a pod."""
        life = self.kubelet.life(self.get("pods", pod, namespace)["metadata"]["uid"])
        assert life is not None, f"pod {pod} has no node yet"
        return life

    def strike(self, pod: str, kind: str, namespace: str = "") -> None:
        """Let something happen to a pod now; ``kind`` as in :class:`~tests.support.kube.behaviour.Trouble`."""
        self.troubles.strike(self.life(pod, namespace), kind)

    def refuse(self, plural: str, match: PodMatch, how: Refuser, *, times: int | None = None) -> Refusal:
        """Refuse objects when they are made: ``refuse("jobs", None, by_quota())``; see :mod:`..admissions`."""
        refusal = Refusal(plural, match, how, times)
        self.admissions.refusals.insert(0, refusal)
        return refusal

    def admit(self) -> None:
        """Refuse nothing any longer."""
        self.admissions.refusals.clear()

    def lose_log(self, pod: str, namespace: str = "") -> None:
        """Let a pod's log be gone from its node."""
        self.life(pod, namespace).log_lost = True

    def remove_node(self, name: str) -> None:
        """Remove a node, and with it whatever ran there, as PodGC does."""
        with self.store.lock:
            self.store.remove(NODES, Key("", name))
            for life in self.kubelet.on_node(name):
                self.troubles.strike(life, "podgc")

    def lose_node(self, name: str) -> None:
        """Let a node fall silent: its pods are deleted after five minutes, and stay Terminating."""
        taint = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}
        with self.store.lock:
            self.store.edit(NODES, Key("", name), lambda node: node["spec"].setdefault("taints", []).append(taint))
            for life in self.kubelet.on_node(name):
                self.troubles.lose(life)

    # moving

    def settle(self) -> None:
        """Let everybody work until nothing is left to do at this time."""
        self.engine.settle()

    def step(self, seconds: float = 1.0) -> None:
        """Let everybody work, move the clock a little, let everybody work again."""
        self.engine.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock, stopping at everything that is due on the way."""
        self.engine.advance(seconds)

    def run_until(self, predicate: Callable[[], bool], *, limit_s: float = 3600.0, step_s: float = 1.0) -> None:
        """Advance until something is so; AssertionError if it isn't within ``limit_s``."""
        self.engine.run_until(predicate, limit_s=limit_s, step_s=step_s)

    def go(self, speed: float = 1.0, *, every_s: float = 0.02) -> None:
        """Run by itself: ``speed`` seconds of the cluster in one of ours."""
        self.engine.go(speed, every_s)

    def halt(self) -> None:
        """Run by itself no longer."""
        self.engine.halt()
