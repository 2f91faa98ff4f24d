"""Look for runs by what people know of them: pipeline, state, class of failure, attributes of the task."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fmdj_cloud.contracts import FailureClass, RunRecord, RunState
from fmdj_cloud.pipeline.ledger_base import one_of
from fmdj_cloud.pipeline.ledger_reading import RunReading

_PLAIN = re.compile(r"-?\d+|true|false")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DAY = re.compile(r"\d{4}-\d.*")
_HOUR = re.compile(r"\d\d:\d.*")
_ESCAPE = "!"


@dataclass(frozen=True)
class RunFilter:
    """Which runs are meant; what is empty means any.

    Attributes
    ----------
    pipelines : collection of str
    states : collection of RunState
    failure_class : FailureClass or None
    task : Mapping
        Attribute of the task's key -> its value as text; of dates and times the beginning will do.
    """

    pipelines: Collection[str] = ()
    states: Collection[RunState] = ()
    failure_class: FailureClass | None = None
    task: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FailureCount:
    """How many runs of a pipeline failed in one way."""

    pipeline: str
    failure_class: FailureClass
    runs: int
    newest: dt.datetime


class Searching(RunReading):
    """Reads the Run table by what people ask for."""

    def find_runs(self, wanted: RunFilter, *, limit: int, offset: int = 0) -> list[RunRecord]:
        """Return runs, those that changed last first.

        Parameters
        ----------
        wanted : RunFilter
        limit : int
            At most.
        offset : int
            So many are left out before them.
        """
        where, args = _condition(wanted)
        return self._runs(where, args, f" ORDER BY updated DESC, run_id LIMIT {int(limit)} OFFSET {int(offset)}")

    def count_found(self, wanted: RunFilter) -> int:
        """Return how many runs :meth:`find_runs` finds."""
        where, args = _condition(wanted)
        ((number,),) = self.database.query(f"SELECT COUNT(*) FROM {self._run} WHERE {where}", tuple(args))
        return int(number)

    def count_failures(self) -> list[FailureCount]:
        """Return how many runs have failed and are not asked for again, by pipeline and class; most first."""
        rows = self.database.query(
            f"SELECT pipeline, failure_class, COUNT(*), MAX(updated) FROM {self._run} "
            "WHERE state = %s AND failure_class IS NOT NULL GROUP BY pipeline, failure_class ORDER BY 3 DESC, 1, 2",
            (RunState.FAILED.value,),
        )
        return [FailureCount(str(name), FailureClass(kind), int(number), newest) for name, kind, number, newest in rows]


def task_patterns(name: str, value: str) -> Iterator[str]:
    """Yield what the canonical key of a task is LIKE if one of its attributes has a value: pure.

    Quotes inside of strings are escaped in JSON, so that no value can look like an attribute.

    Parameters
    ----------
    name : str
        Of the attribute.
    value : str
        As people type it.
    """
    key = _literal(json.dumps(name))
    text = _literal(value)
    yield f"%{key}:{_literal(json.dumps(value, ensure_ascii=False))}%"
    if _PLAIN.fullmatch(value):
        yield f"%{key}:{value},%"
        yield f"%{key}:{value}}}%"
    if _NUMBER.fullmatch(value):
        yield f'%{key}:{{"decimal":"{text}"}}%'
        yield f'%{key}:{{"float":"{float(value)!r}"}}%'
    if _UUID.fullmatch(value):
        yield f'%{key}:{{"uuid":"{text}"}}%'
    if _DAY.fullmatch(value):
        yield f'%{key}:{{"datetime":"{text.replace(" ", "T", 1)}%'
        yield f'%{key}:{{"date":"{text}%'
    if _HOUR.fullmatch(value):
        yield f'%{key}:{{"time":"{text}%'


def _literal(text: str) -> str:
    return re.sub(r"[!%_]", lambda found: _ESCAPE + found[0], text)


def _condition(wanted: RunFilter) -> tuple[str, Sequence[str]]:
    """Return a condition and its arguments."""
    parts = ["1 = 1"]
    args: list[str] = []
    if wanted.pipelines:
        names = tuple(sorted(wanted.pipelines))
        parts.append(f"pipeline IN ({one_of(names)})")
        args += names
    if wanted.states:
        states = tuple(sorted(RunState(state).value for state in wanted.states))
        parts.append(f"state IN ({one_of(states)})")
        args += states
    if wanted.failure_class is not None:
        parts.append("failure_class = %s")
        args.append(wanted.failure_class.value)
    for name, value in wanted.task.items():
        patterns = list(task_patterns(name, value))
        parts.append("(" + " OR ".join([f"task LIKE %s ESCAPE '{_ESCAPE}'"] * len(patterns)) + ")")
        args += patterns
    return " AND ".join(parts), args
