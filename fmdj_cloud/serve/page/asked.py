"""What somebody asks a list for, in the query of a URL: pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

from fmdj_cloud.contracts import FailureClass, RunState
from fmdj_cloud.errors import UsageError
from fmdj_cloud.pipeline.ledger_search import RunFilter

_LONGEST = 200
_KEY = "key."
"""Before the attributes of a task's key, which may be called as anything."""


@dataclass(frozen=True)
class Asked:
    """A list that somebody asks for; hashable.

    Attributes
    ----------
    pipeline, state, failure_class : str
        Empty is any.
    task : tuple of (str, str)
        Attributes of the task's key and their values.
    page : int
        From 1.
    """

    pipeline: str = ""
    state: str = ""
    failure_class: str = ""
    task: tuple[tuple[str, str], ...] = ()
    page: int = 1

    @property
    def filter(self) -> RunFilter:
        """As the ledger takes it."""
        return RunFilter(
            pipelines=(self.pipeline,) if self.pipeline else (),
            states=(RunState(self.state),) if self.state else (),
            failure_class=FailureClass(self.failure_class) if self.failure_class else None,
            task=dict(self.task),
        )

    def value(self, name: str) -> str:
        """Return the value that an attribute must have, empty for any."""
        return dict(self.task).get(name, "")

    def query(self, page: int) -> str:
        """Return the query of another page of the same list."""
        said = {"pipeline": self.pipeline, "state": self.state, "class": self.failure_class}
        said |= {f"{_KEY}{name}": value for name, value in self.task} | {"page": str(page)}
        return urlencode({name: value for name, value in said.items() if value})


def read_query(items: Iterable[tuple[str, str]], attributes: Iterable[str]) -> Asked:
    """Return what a query asks for.

    Parameters
    ----------
    items : iterable of (str, str)
        Of the query; empty values mean any, and of several with one name the last one counts.
    attributes : iterable of str
        Of the keys of tasks.

    Raises
    ------
    UsageError
        If there is no such state, class, attribute or page, or a value that can't be.
    """
    said = {name: value.strip() for name, value in items if value.strip()}
    known = set(attributes)
    task = []
    for name, value in said.items():
        if len(value) > _LONGEST:
            raise UsageError(f"What is asked of {name} has {len(value)} characters; {_LONGEST} are the most.")
        if "\0" in value:  # which PostgreSQL takes in no text
            raise UsageError(f"A list of runs can't be asked for a {name} with a NUL character.")
        if name.startswith(_KEY):
            if name.removeprefix(_KEY) not in known:
                raise UsageError(f"Keys of tasks have no attribute {name.removeprefix(_KEY)!r}.")
            task.append((name.removeprefix(_KEY), value))
        elif name not in ("pipeline", "state", "class", "page"):
            raise UsageError(f"A list of runs can't be asked for {name!r}: take pipeline, state, class, page, key.*.")
    page = said.get("page", "1")
    return Asked(
        pipeline=said.get("pipeline", ""),
        state=_one_of("state", said.get("state", ""), [state.value for state in RunState]),
        failure_class=_one_of("class", said.get("class", ""), [kind.value for kind in FailureClass]),
        task=tuple(sorted(task)),
        page=int(page) if page.isdecimal() and len(page) < 10 else 1,
    )


def _one_of(name: str, value: str, known: list[str]) -> str:
    if value and value not in known:
        raise UsageError(f"There is no {name} {value!r}: it is one of {', '.join(known)}.")
    return value
