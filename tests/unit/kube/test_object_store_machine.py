"""Whatever is told, answered and listed in whatever order: what is kept becomes what there is."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fmdj_cloud.control.kube.slim import slim_any
from fmdj_cloud.control.kube.store import Store

NAMES = st.sampled_from(["a", "b", "c"])


class StoreMachine(RuleBasedStateMachine):
    """A server with a history, a watch that is late, and answers to requests that are late too."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 10
        self.server: dict[str, int] = {}
        self.history: list[tuple[str, str, int]] = []
        self.told = 0
        """Events of the history that the watch has told."""
        self.answers: list[tuple[str, int]] = []
        """Answers to requests that haven't been put yet."""
        self.listing: tuple[dict[str, int], int, int] | None = None
        self.own: dict[str, int] = {}
        """Versions that were put."""
        self.store = Store(slim_any)

    @initialize()
    def begin(self) -> None:
        self.store.replace([], str(self.version))

    def happens(self, kind: str, name: str) -> None:
        self.version += 1
        self.history.append((kind, name, self.version))

    @rule(name=NAMES, answered=st.booleans())
    def write(self, name: str, answered: bool) -> None:
        self.happens("MODIFIED" if name in self.server else "ADDED", name)
        self.server[name] = self.version
        if answered:
            self.answers.append((name, self.version))

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if name in self.server:
            self.happens("DELETED", name)
            del self.server[name]

    @precondition(lambda self: self.listing is None)
    @rule(number=st.integers(1, 4))
    def tell(self, number: int) -> None:
        for kind, name, version in self.history[self.told : self.told + number]:
            self.store.apply(kind, thing(name, version), str(version))
        self.told = min(len(self.history), self.told + number)

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def put(self, data: st.DataObject) -> None:
        name, version = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        self.store.put(thing(name, version))
        self.own[name] = max(version, self.own.get(name, 0))

    @precondition(lambda self: self.listing is None)
    @rule()
    def begin_list(self) -> None:
        self.store.begin()
        self.listing = (dict(self.server), self.version, len(self.history))

    @precondition(lambda self: self.listing is not None)
    @rule()
    def end_list(self) -> None:
        assert self.listing is not None
        objects, version, told = self.listing
        self.store.replace([thing(name, at) for name, at in objects.items()], str(version))
        self.told, self.listing = told, None

    @invariant()
    def one_sees_ones_own_writes(self) -> None:
        kept = versions(self.store)
        for name, version in self.own.items():
            if self.server.get(name) == version:
                assert kept.get(name) == version

    def teardown(self) -> None:
        if self.listing is not None:
            self.end_list()
        self.tell(len(self.history))
        for name, version in self.answers:
            self.store.put(thing(name, version))
        assert versions(self.store) == self.server


def thing(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def versions(store: Store) -> dict[str, int]:
    return {one["metadata"]["name"]: int(one["metadata"]["resourceVersion"]) for one in store.all()}


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
