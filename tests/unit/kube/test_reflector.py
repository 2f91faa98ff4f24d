"""Following one kind of objects: every way in which a watch dies, in time that the test makes pass."""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from fmdj_cloud.control.kube.client import Listing
from fmdj_cloud.control.kube.error import BROKEN, TIMEOUT, UNREACHED, KubeError
from fmdj_cloud.control.kube.reflector import Reflector
from fmdj_cloud.control.kube.resources import JOBS, Resource
from fmdj_cloud.control.kube.slim import slim_any
from fmdj_cloud.control.kube.store import Store

EXPIRED = KubeError("gone", status=410, reason="Expired")
SILENT = KubeError("silence", status=0, reason=TIMEOUT)
CUT = KubeError("cut", status=0, reason=BROKEN)
DOWN = KubeError("down", status=0, reason=UNREACHED)
NOT_FOUND = KubeError("no such kind", status=404, reason="NotFound")


def thing(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


def event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": thing(name, version)}


def bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def error(code: int, reason: str = "Expired") -> dict[str, Any]:
    return {"type": "ERROR", "object": {"kind": "Status", "code": code, "reason": reason, "message": "too old"}}


class World:
    """A clock, and an API server that answers what the test has written down; what isn't written down is quiet."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.asked: list[str] = []
        self.lists: list[Any] = []
        self.watches: list[list[Any]] = []
        self.last = Listing([], "1")

    def clock(self) -> float:
        return self.now

    def pages(self, resource: Resource, *, selector: str = "", limit: int = 500) -> Iterator[Listing]:
        self.asked.append("list" if limit else "list in one piece")
        answer = self.lists.pop(0) if self.lists else self.last
        for page in answer if isinstance(answer, list) else [answer]:
            if isinstance(page, Exception):
                raise page
            self.last = page
            yield page

    def watch(
        self, resource: Resource, *, selector: str = "", resource_version: str, timeout_s: float
    ) -> Generator[dict[str, Any]]:
        self.asked.append(f"watch from {resource_version}")
        began = self.now
        for step in self.watches.pop(0) if self.watches else []:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, int | float):
                self.now += step
            else:
                yield step
        self.now = max(self.now, began + timeout_s)


def follow(world: World, turns: int, reflector: Reflector) -> list[float]:
    pauses = []
    for _ in range(turns):
        pauses.append(reflector.turn())
        world.now += pauses[-1]
    return pauses


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def store() -> Store:
    return Store(slim_any)


def reflector(world: World, store: Store, **options: Any) -> Reflector:
    given = {"watch_s": 240.0, "relist_s": 6000.0, **options}
    return Reflector(world, JOBS, store, selector="mine", clock=world.clock, jitter=lambda: 1.0, **given)


def names(store: Store) -> set[str]:
    return {one["metadata"]["name"] for one in store.all()}


def test_it_lists_and_then_watches_from_there(world: World, store: Store):
    world.lists = [Listing([thing("a", 3)], "5")]
    world.watches = [[event("ADDED", "b", 6), event("DELETED", "a", 7)]]
    follow(world, 2, reflector(world, store))
    assert world.asked == ["list", "watch from 5"]
    assert names(store) == {"b"}


def test_it_is_synced_once_it_has_listed(world: World, store: Store):
    one = reflector(world, store)
    assert not one.synced.is_set()
    one.turn()
    assert one.synced.is_set()


def test_a_watch_that_ends_in_time_goes_on_where_it_was(world: World, store: Store):
    world.watches = [[event("ADDED", "a", 6)], [bookmark(90)], []]
    pauses = follow(world, 4, reflector(world, store))
    assert world.asked == ["list", "watch from 1", "watch from 6", "watch from 90"]
    assert pauses == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "death",
    [
        pytest.param(EXPIRED, id="410 when it begins"),
        pytest.param(error(410), id="410 as an event"),
        pytest.param(error(500, "InternalError"), id="another error as an event"),
        pytest.param(error(0), id="an error that says nothing"),
        pytest.param({"type": "ERROR", "object": None}, id="an error without an object"),
        pytest.param({"type": "ADDED", "object": {"metadata": {"name": "x"}}}, id="an object without a version"),
        pytest.param({"type": "ADDED"}, id="an event without an object"),
        pytest.param({"type": "NEWS", "object": thing("x", 9)}, id="an event of a kind that nobody knows"),
        pytest.param(SILENT, id="silence"),
        pytest.param(KubeError("", status=504, reason="Timeout"), id="a version from the future"),
        pytest.param(KubeError("", status=400, reason="BadRequest"), id="a version that isn't one"),
        pytest.param(KubeError("", status=401, reason="Unauthorized"), id="credentials that nobody knows"),
        pytest.param(KubeError("", status=403, reason="Forbidden"), id="rights taken away"),
        pytest.param(TypeError("a fault of ours"), id="a fault of ours"),
    ],
)
def test_a_watch_that_cannot_be_believed_begins_anew_with_a_list(world: World, store: Store, death: Any):
    world.lists = [Listing([thing("a", 3), thing("b", 4)], "5"), Listing([thing("b", 4), thing("c", 8)], "9")]
    world.watches = [[event("MODIFIED", "b", 6), death]]
    follow(world, 4, reflector(world, store))
    assert world.asked == ["list", "watch from 5", "list", "watch from 9"]
    assert names(store) == {"b", "c"}


@pytest.mark.parametrize(
    "death",
    [
        CUT,
        DOWN,
        KubeError("", status=429),
        KubeError("", status=500),
        KubeError("", status=503),
    ],
    ids=lambda death: f"{death.status}{death.reason}",
)
def test_a_watch_that_breaks_is_taken_up_where_it_was(world: World, store: Store, death: KubeError):
    world.watches = [[event("ADDED", "a", 6), death]]
    pauses = follow(world, 3, reflector(world, store))
    assert world.asked == ["list", "watch from 1", "watch from 6"]
    assert pauses[1] > 0


def test_one_that_breaks_again_and_again_begins_anew_with_a_list(world: World, store: Store):
    world.watches = [[CUT], [CUT], [CUT]]
    follow(world, 6, reflector(world, store))
    assert world.asked == ["list", "watch from 1", "watch from 1", "watch from 1", "list", "watch from 1"]


def test_pauses_grow_while_nothing_works_and_are_over_when_it_does(world: World, store: Store):
    world.lists = [DOWN] * 9
    one = reflector(world, store)
    assert follow(world, 9, one) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    world.watches = [[bookmark(7), CUT]]
    assert follow(world, 2, one) == [0, 0.5]


def test_a_storm_of_410_is_not_answered_with_one_of_lists(world: World, store: Store):
    world.watches = [[error(410)]] * 200
    one = reflector(world, store)
    began = world.now
    while world.now - began < 600:
        world.now += one.turn()
    assert world.asked.count("list") < 40


def test_watches_that_end_at_once_are_not_answered_with_a_storm(world: World, store: Store):
    world.lists = [Listing([], "5")]

    def watch(*_: Any, **__: Any) -> Generator[dict[str, Any]]:
        world.asked.append("watch")
        yield from ()

    world.watch = watch  # type: ignore[method-assign]
    one = reflector(world, store)
    began = world.now
    while world.now - began < 600:
        world.now += one.turn()
    assert world.asked.count("watch") < 40


def test_everything_is_listed_on_schedule_however_lively_the_watch_is(world: World, store: Store):
    world.lists = [Listing([], "5"), Listing([thing("lost", 7)], "99")]
    world.watches = [[100, bookmark(6), 100, bookmark(7)], [bookmark(8)]]
    follow(world, 4, reflector(world, store, relist_s=300.0))
    assert world.asked == ["list", "watch from 5", "watch from 7", "list"]
    assert world.now == 1300.0
    assert names(store) == {"lost"}


def test_the_api_server_is_asked_again_when_it_wants_to_be(world: World, store: Store):
    world.lists = [KubeError("busy", status=429, retry_after_s=12.0)]
    assert follow(world, 1, reflector(world, store)) == [12.0]


def test_an_hour_s_retry_after_is_not_believed(world: World, store: Store):
    world.lists = [KubeError("busy", status=429, retry_after_s=3600.0)]
    assert follow(world, 1, reflector(world, store)) == [30.0]


def test_what_is_known_stays_known_during_an_outage_and_shows_its_age(world: World, store: Store):
    world.lists = [Listing([thing("a", 3)], "5")]
    one = reflector(world, store)
    one.turn()
    world.lists = [DOWN] * 100
    world.watches = [[DOWN]] * 100
    began = world.now
    while world.now - began < 300:
        world.now += one.turn()
    assert names(store) == {"a"}
    assert one.age_s() >= 300
    world.lists, world.watches = [Listing([thing("b", 8)], "9")], []
    one.turn()
    assert names(store) == {"b"}
    assert one.age_s() == 0


def test_any_word_makes_it_young_again(world: World, store: Store):
    one = reflector(world, store)
    one.turn()
    ages = []

    def watch(*_: Any, **__: Any) -> Generator[dict[str, Any]]:
        world.now += 60
        ages.append(one.age_s())
        yield bookmark(7)
        ages.append(one.age_s())
        world.now += 180

    world.watch = watch  # type: ignore[method-assign]
    one.turn()
    assert ages == [60, 0]
    assert one.age_s() == 0


def test_pages_that_were_forgotten_meanwhile_are_asked_for_in_one_piece(world: World, store: Store):
    world.lists = [[Listing([thing("a", 3)], "5"), EXPIRED], Listing([thing("a", 3), thing("b", 4)], "9")]
    follow(world, 2, reflector(world, store))
    assert world.asked == ["list", "list in one piece", "watch from 9"]
    assert names(store) == {"a", "b"}


def test_a_list_that_breaks_between_two_pages_changes_nothing(world: World, store: Store):
    world.lists = [Listing([thing("a", 3)], "5")]
    world.watches = [[EXPIRED]]
    one = reflector(world, store)
    follow(world, 2, one)
    world.lists = [[Listing([thing("b", 4)], "9"), CUT]]
    one.turn()
    assert names(store) == {"a"}


def test_a_list_without_a_version_is_not_believed(world: World, store: Store):
    world.lists = [Listing([], "")]
    one = reflector(world, store)
    assert one.turn() > 0
    assert not one.synced.is_set()


class TestKindThatMayBeMissing:
    def test_it_is_no_trouble_and_looked_for_now_and_then(self, world: World, store: Store):
        world.lists = [NOT_FOUND] * 3
        one = reflector(world, store, optional=True)
        assert follow(world, 3, one) == [60, 60, 60]
        assert one.synced.is_set()
        assert one.age_s() == 0

    def test_it_is_followed_once_it_is_there(self, world: World, store: Store):
        world.lists = [NOT_FOUND, Listing([thing("a", 3)], "5")]
        follow(world, 3, reflector(world, store, optional=True))
        assert world.asked == ["list", "list", "watch from 5"]
        assert names(store) == {"a"}

    def test_its_objects_are_gone_when_it_is(self, world: World, store: Store):
        world.lists = [Listing([thing("a", 3)], "5"), NOT_FOUND]
        world.watches = [[NOT_FOUND]]
        follow(world, 3, reflector(world, store, optional=True))
        assert names(store) == set()

    def test_an_outage_meanwhile_is_not_its_own(self, world: World, store: Store):
        world.lists = [NOT_FOUND, DOWN, DOWN]
        one = reflector(world, store, optional=True)
        follow(world, 3, one)
        world.now += 3600
        assert one.age_s() == 0

    def test_a_kind_that_must_be_there_is_trouble(self, world: World, store: Store):
        world.lists = [NOT_FOUND]
        one = reflector(world, store)
        assert one.turn() == 0.5
        assert not one.synced.is_set()
