"""What is kept of the cluster's objects, and what a request's answer may change of it."""

from typing import Any

from fmdj_cloud.control.kube.slim import slim_any
from fmdj_cloud.control.kube.store import Store


def thing(name: str, version: int, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version), "labels": more}}


def store(**options: Any) -> Store:
    return Store(slim_any, group=lambda one: one["metadata"]["labels"].get("of", ""), **options)


def versions(store: Store) -> dict[str, str]:
    return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in store.all()}


def test_events_of_a_watch_add_change_and_remove():
    kept = store()
    kept.replace([thing("a", 1), thing("b", 2)], "5")
    kept.apply("ADDED", thing("c", 6), "6")
    kept.apply("MODIFIED", thing("a", 7), "7")
    kept.apply("DELETED", thing("b", 8), "8")
    kept.apply("BOOKMARK", {"metadata": {"resourceVersion": "20"}}, "20")
    assert versions(kept) == {"a": "7", "c": "6"}


def test_members_of_a_group_are_found_and_move():
    kept = store()
    kept.replace([thing("a", 1, of="x"), thing("b", 2, of="x"), thing("c", 3, of="y")], "5")
    kept.apply("MODIFIED", thing("a", 6, of="y"), "6")
    kept.apply("DELETED", thing("b", 7, of="x"), "7")
    assert kept.group("x") == []
    assert {one["metadata"]["name"] for one in kept.group("y")} == {"a", "c"}


def test_what_was_just_made_is_seen_before_the_watch_tells():
    kept = store()
    kept.replace([], "5")
    kept.put(thing("a", 6))
    assert versions(kept) == {"a": "6"}


def test_an_answer_that_comes_late_does_not_bring_back_what_is_gone():
    kept = store()
    kept.replace([], "5")
    kept.apply("ADDED", thing("a", 6), "6")
    kept.apply("DELETED", thing("a", 7), "7")
    kept.put(thing("a", 6))
    assert versions(kept) == {}


def test_an_answer_does_not_replace_what_is_newer():
    kept = store()
    kept.replace([], "5")
    kept.put(thing("a", 9))
    kept.put(thing("a", 8))
    assert versions(kept) == {"a": "9"}


def test_what_a_later_list_does_not_show_is_not_brought_back():
    kept = store()
    kept.replace([thing("a", 3)], "5")
    kept.replace([], "9")
    kept.put(thing("a", 8))
    assert versions(kept) == {}


def test_what_was_made_while_everything_is_listed_stays():
    kept = store()
    kept.replace([], "5")
    kept.begin()
    kept.put(thing("new", 12))
    kept.replace([thing("old", 3)], "10")
    assert versions(kept) == {"old": "3", "new": "12"}


def test_what_was_made_before_the_list_began_is_the_list_s_business():
    kept = store()
    kept.replace([], "5")
    kept.put(thing("restored-away", 12))
    kept.begin()
    kept.replace([], "2")  # the cluster was restored from a backup: versions begin anew
    assert versions(kept) == {}


def test_the_late_end_of_a_former_object_does_not_take_its_successor():
    kept = store()
    kept.replace([thing("a", 3)], "5")
    kept.put(thing("a", 9))  # made anew after it was deleted
    kept.apply("DELETED", thing("a", 8), "8")
    assert versions(kept) == {"a": "9"}
    kept.apply("ADDED", thing("a", 9), "9")
    kept.apply("DELETED", thing("a", 10), "10")
    assert versions(kept) == {}


def test_versions_that_are_no_numbers_are_taken_as_they_come():
    kept = store()
    kept.replace([], "abc")
    kept.put({"metadata": {"name": "a", "resourceVersion": "xyz", "labels": {}}})
    assert versions(kept) == {"a": "xyz"}


def test_the_last_state_of_what_is_gone_is_kept_if_it_tells_something():
    kept = store(telling=lambda one: one["metadata"]["labels"].get("end") != "fine")
    kept.replace([thing("a", 1, of="x", end="oom"), thing("b", 2, of="x"), thing("c", 3, of="x")], "5")
    kept.apply("DELETED", thing("a", 6, of="x", end="oom"), "6")
    kept.apply("DELETED", thing("b", 7, of="x", end="fine"), "7")
    kept.replace([], "9")  # c was deleted while nobody watched
    assert {one["metadata"]["name"] for one in kept.gone("x")} == {"a", "c"}
    assert kept.group("x") == []


def test_only_so_many_are_kept():
    kept = store(most=2)
    for number in range(5):
        kept.apply("ADDED", thing(f"e{number}", number, of="x"), str(number))
    assert versions(kept) == {"e3": "3", "e4": "4"}
    assert len(kept.group("x")) == 2
