"""Carry out what a person asks of tasks, without ever losing a race against controller or loader silently."""

from __future__ import annotations

import enum
import getpass
import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fmdj_cloud.contracts import ACCEPTABLE_CHECKS, BindingState, Frozen, Kind, RunState, TaskRecord, Wanted
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.orders import Look, Move, Order, decide_order
from fmdj_cloud.errors import LostRaceError, UsageError
from fmdj_cloud.names import canonical_key, display_key, parse_key
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.pipeline.tasks import Tasks

_TRIES = 5
_ALL = 1_000_000
_WANTED = {Move.WANT_RUN: Wanted.RUN, Move.WANT_HOLD: Wanted.HOLD, Move.WANT_CANCEL: Wanted.CANCEL}
_WORDS = {Order.RETRY: "Retried", Order.CANCEL: "Cancelled", Order.HOLD: "Held", Order.RELEASE: "Released"}
_UNDER_WAY = frozenset({RunState.READY, RunState.LAUNCHED, RunState.PUBLISHED})
_log = logging.getLogger(__name__)


class OrderEnd(enum.StrEnum):
    """How an order for one task ended."""

    DONE = "done"
    NOTHING = "nothing to do"
    LOST = "not done"


class OrderResult(Frozen):
    """What an order came to for one task."""

    pipeline: str
    kind: Kind
    """Of the task table."""
    task: dict[str, Any]
    run_id: str | None
    end: OrderEnd
    sentence: str

    @property
    def task_text(self) -> str:
        """The task as people type it."""
        return display_key(self.task)


def this_person() -> str:
    """Return who asks, for the ledger: ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def check_acceptable(checks: Sequence[str]) -> None:
    """Refuse names of checks that nobody can override.

    Raises
    ------
    UsageError
        The sentence names those that can be.
    """
    for check in checks:
        if check not in ACCEPTABLE_CHECKS:
            known = ", ".join(f"{name} ({what})" for name, what in ACCEPTABLE_CHECKS.items())
            raise UsageError(f"The check {check!r} can't be accepted; these can: {known}.")


class Ordering:
    """Carries out orders.

    Parameters
    ----------
    ledger : Ledger
    by : str
        Who asks.
    """

    def __init__(self, ledger: Ledger, by: str) -> None:
        self._ledger = ledger
        self._by = by

    def obey(self, order: Order, choice: Choice) -> OrderResult:
        """Carry out an order for one task; what changes meanwhile is looked at again."""
        return self._again_and_again(choice, lambda task, look: self._try(order, task, look))

    def retry(self, choice: Choice, *, recompute: bool = False, accept: Sequence[str] = ()) -> OrderResult:
        """Have a task tried again.

        Parameters
        ----------
        choice : Choice
        recompute : bool
            Compute anew even if there are outputs that verify.
        accept : sequence of str
            Checks to override for this task until it is edited.

        Raises
        ------
        UsageError
            If one of `accept` can't be overridden.
        """
        check_acceptable(accept)

        def attempt(task: TaskRecord | None, look: Look) -> tuple[OrderEnd, str] | None:
            extras = []
            if task is not None and accept:
                self._ledger.accept(task, accept, self._by)
                extras.append(f"The check{'s' if len(accept) > 1 else ''} {', '.join(accept)} won't stop it.")
            if task is not None and recompute and _can_be_recomputed(look):
                self._ledger.ask_recompute(task.task_digest, self._by)
                extras.append("It is computed anew, whatever outputs there are.")
            ended = self._try(Order.RETRY, task, look)
            if ended is None or not extras:
                return ended
            return OrderEnd.DONE, " ".join([ended[1], *extras])

        return self._again_and_again(choice, attempt)

    def prioritise(self, choice: Choice, priority: int) -> OrderResult:
        """Set the priority of a task and of its run; lower is more urgent."""

        def attempt(task: TaskRecord | None, look: Look) -> tuple[OrderEnd, str] | None:
            if task is None:
                return OrderEnd.NOTHING, "There is no such task any more."
            if look.has_result and look.under_way is None:
                return OrderEnd.NOTHING, "It is done."
            self._ledger.set_task_priority(task, priority)
            return OrderEnd.DONE, f"Its priority is {priority} (lower is more urgent)."

        return self._again_and_again(choice, attempt)

    def _again_and_again(
        self, choice: Choice, attempt: Callable[[TaskRecord | None, Look], tuple[OrderEnd, str] | None]
    ) -> OrderResult:
        run_id: str | None = None
        for _ in range(_TRIES):
            task, look = self._look(choice)
            run_id = look.run.run_id if look.run is not None else None
            ended = attempt(task, look)
            if ended is not None:
                end, sentence = ended
                break
        else:
            end, sentence = OrderEnd.LOST, "It changed again and again meanwhile; nothing was done. Try again."
        if end is OrderEnd.DONE:
            _log.info("%s by %s: %s", display_key(choice.key), self._by, sentence)
        return OrderResult(
            pipeline=choice.lab.name,
            kind=choice.tasks.kind,
            task=choice.key,
            run_id=run_id,
            end=end,
            sentence=sentence,
        )

    def _look(self, choice: Choice) -> tuple[TaskRecord | None, Look]:
        tasks, key = choice.tasks, choice.key
        task = tasks.get(key)
        binding = self._ledger.binding(choice.lab.name, tasks.kind, key)
        run = self._ledger.run(binding.run_id) if binding is not None and binding.run_id else None
        has_result = canonical_key(key) in tasks.has_result([key])
        return task, Look(task is not None, has_result, binding, run, tasks.result_name)

    def _try(self, order: Order, task: TaskRecord | None, look: Look) -> tuple[OrderEnd, str] | None:
        """Do what is to be done; None if the task has changed since it was looked at."""
        decision = decide_order(order, look)
        if decision.move is Move.NOTHING:
            return OrderEnd.NOTHING, decision.sentence
        done = self._move(decision.move, task, look, f"{_WORDS[order]} by {self._by}.")
        return (OrderEnd.DONE, decision.sentence) if done else None

    def _move(self, move: Move, task: TaskRecord | None, look: Look, note: str) -> bool:
        run, binding = look.run, look.binding
        try:
            if move in _WANTED and run is not None:
                return self._ledger.want(run, _WANTED[move], note)
            if move is Move.HURRY and run is not None:
                return self._ledger.hurry(run)
            if move is Move.REOPEN and binding is not None:
                return self._ledger.reopen(binding, note)
            if move is Move.HOLD_TASK and task is not None:
                self._ledger.hold_task(task, note, epoch=None)
                return True
            if move is Move.CANCEL_TASK and task is not None:
                self._ledger.cancel_task(task, note, epoch=None)
                return True
        except LostRaceError:
            return False  # the controller has planned it since: look again
        return False


def _can_be_recomputed(look: Look) -> bool:
    """Whether the next plan decides between loading and computing; a run under way computes anyway."""
    return look.under_way is None or look.under_way.state in (RunState.FAILED, RunState.CANCELLED)


def all_tasks(lab: Lab, ledger: Ledger, order: Order | None, kind: Kind | None = None) -> list[Choice]:
    """Return all tasks that an order can mean anything for.

    Parameters
    ----------
    lab : Lab
    ledger : Ledger
    order : Order or None
        None: everything that isn't done, for priorities.
    kind : Kind, optional
        Of the task table; all by default.
    """
    return [
        Choice(lab, tasks, key)
        for tasks in lab.tables
        if kind in (None, tasks.kind)
        for key in {canonical_key(key): key for key in _candidates(lab, tasks, ledger, order)}.values()
    ]


def _candidates(lab: Lab, tasks: Tasks, ledger: Ledger, order: Order | None) -> Iterator[dict[str, Any]]:
    if order is Order.RETRY:
        states, bound = {RunState.FAILED}, {BindingState.REFUSED, BindingState.WAITING}
    elif order is Order.RELEASE:
        states, bound = {RunState.HELD, *_UNDER_WAY}, {BindingState.HELD}
    else:
        states, bound = {RunState.HELD, *_UNDER_WAY}, {BindingState.WAITING}
        yield from tasks.pending(_ALL)
    for run in ledger.runs(states=states, pipeline=lab.name):
        if run.task_kind is tasks.kind and (order is not Order.RELEASE or run.wanted is Wanted.HOLD):
            yield parse_key(run.task)
    for binding in ledger.bindings(lab.name, tasks.kind, states=bound):
        yield binding.key
