"""``populate()`` in our declaration of the Element: what DataJoint calls, and who does it.

DataJoint's three-part ``make`` computes outside of any transaction: ``make_fetch`` says what the computation
rests on, ``make_compute`` computes, then, in a transaction on the table's own connection, ``make_fetch`` must
say the same as before and ``make_insert`` inserts. What computes and inserts is a runner, which whoever
activates the tables supplies; nothing here knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol, TypeVar

from fmdj_cloud.errors import UsageError

Key = Mapping[str, Any]


class Outputs(Protocol):
    """Outputs of a task's run, ready to be inserted."""

    def insert(self, key: Key) -> None:
        """Insert them, in the transaction that is open on the table's connection.

        Raises
        ------
        FmdjError
            If nothing may be inserted; the transaction is rolled back.
        """
        ...


class Fetching(Protocol):
    """Says what a task of one task table is."""

    def fetch(self, key: Key) -> tuple[Any, ...]:
        """Return what a task's computation rests on; other values in the end mean that it was edited."""
        ...


class Runner(Fetching, Protocol):
    """Does the work of ``populate()`` for FacemapTask, on the connection of the tables it was made for."""

    def process(self, key: Key) -> Outputs:
        """Have a task's outputs computed, unless they are there, for FacemapProcessing."""
        ...

    def extract(self, key: Key) -> Outputs:
        """Fetch and check a task's outputs, computing them if need be, for FacialSignal."""
        ...


class InferenceRunner(Fetching, Protocol):
    """Does the work of ``populate()`` for FacemapInferenceTask, on the connection of the tables it was made for."""

    def infer(self, key: Key) -> Outputs:
        """Fetch and check a task's outputs, computing them if need be, for FacemapInference."""
        ...


R = TypeVar("R", bound=Fetching)


def makers(runner: R | None, compute: Callable[[R, Key], Outputs]) -> dict[str, Any]:
    """Return the members of a table class that ``populate()`` calls.

    Parameters
    ----------
    runner : Fetching or None
        None where the tables are only declared: ``populate()`` then says what to do instead.
    compute : callable
        What the runner does for this table, such as :meth:`Runner.process` or :meth:`InferenceRunner.infer`.
    """

    def make_fetch(self: Any, key: dict[str, Any]) -> tuple[Any, ...]:
        if runner is None:
            refuse_populate(self, key)
        return runner.fetch(key)

    def make_compute(self: Any, key: dict[str, Any], *fetched: Any) -> tuple[Outputs]:
        if runner is None:
            refuse_populate(self, key)
        return (compute(runner, key),)

    def make_insert(self: Any, key: dict[str, Any], outputs: Outputs) -> None:
        outputs.insert(key)

    return {"make_fetch": make_fetch, "make_compute": make_compute, "make_insert": make_insert}


def refuse_populate(self: Any, key: Key) -> NoReturn:
    """Say how a table is filled whose ``populate()`` has no runner: itself a ``make``.

    Raises
    ------
    UsageError
        Always.
    """
    raise UsageError(
        f"{type(self).__name__} is not filled by populate() here: activate the tables with "
        "fmdj_cloud.populate.activate(), or start `fmdj controller` and `fmdj loader`, which see every task."
    )
