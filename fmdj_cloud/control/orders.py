"""What a person asks of a task, and what that means as things stand: pure; :mod:`ordering` carries it out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from fmdj_cloud.contracts import BindingRecord, BindingState, RunRecord, RunState, Wanted

_GIVEN_UP = frozenset({RunState.FAILED, RunState.CANCELLED})
_OVER = frozenset({RunState.LOADED, RunState.SUPERSEDED})


class Order(enum.StrEnum):
    """What a person asks for."""

    RETRY = "retry"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"


class Move(enum.StrEnum):
    """The one change of the ledger that an order comes to."""

    NOTHING = "nothing"
    REOPEN = "reopen"
    """The task becomes pending."""
    WANT_RUN = "want run"
    WANT_HOLD = "want hold"
    WANT_CANCEL = "want cancel"
    HURRY = "hurry"
    """A backoff ends now."""
    HOLD_TASK = "hold task"
    CANCEL_TASK = "cancel task"


@dataclass(frozen=True)
class Look:
    """What is known of a task.

    Attributes
    ----------
    exists : bool
        Whether its row is there.
    has_result : bool
    binding : BindingRecord or None
    run : RunRecord or None
        The one that the binding names.
    result_name : str
        Table whose row says that the task is done.
    """

    exists: bool
    has_result: bool
    binding: BindingRecord | None
    run: RunRecord | None
    result_name: str

    @property
    def under_way(self) -> RunRecord | None:
        """The task's run, unless it is over or was given up and asked for again."""
        binding = self.binding
        if self.run is None or binding is None or binding.state is not BindingState.PLANNED:
            return None
        return None if self.run.state in _OVER else self.run


@dataclass(frozen=True)
class Decision:
    """What to do, and the sentence that says so once it is done."""

    move: Move
    sentence: str


def decide_order(order: Order, look: Look) -> Decision:
    """Return what an order means for a task: total over whatever was seen."""
    if not look.exists and (look.under_way is None or order is not Order.CANCEL):
        return Decision(Move.NOTHING, "There is no such task any more.")
    match order:
        case Order.RETRY:
            return _retry(look)
        case Order.CANCEL:
            return _cancel(look)
        case Order.HOLD:
            return _hold(look)
        case Order.RELEASE:
            return _release(look)


def _nothing(sentence: str) -> Decision:
    return Decision(Move.NOTHING, sentence)


def _retry(look: Look) -> Decision:
    run, binding = look.under_way, look.binding
    if run is not None:
        return _retry_run(run)
    if look.has_result:
        return _nothing(f"It is done: delete its {look.result_name} row to have it made again.")
    if binding is None or binding.state is BindingState.PENDING:
        return _nothing("It is pending already: the controller plans it.")
    if binding.state is BindingState.HELD:
        return _nothing("It is held: release it instead.")
    if binding.state is BindingState.PLANNED:
        return _nothing("Its results are gone, so it is pending already: the controller plans it.")
    return Decision(Move.REOPEN, "It is pending again: the controller plans it.")


def _retry_run(run: RunRecord) -> Decision:
    if run.state in _GIVEN_UP:
        return Decision(Move.REOPEN, "It is pending again: the controller plans it.")
    if run.wanted is Wanted.CANCEL:
        return Decision(Move.WANT_RUN, "It was about to be cancelled, and goes on.")
    if run.state is RunState.HELD or run.wanted is Wanted.HOLD:
        return _nothing("It is held: release it instead.")
    if run.state is RunState.READY and run.not_before is not None:
        return Decision(Move.HURRY, f"Attempt {run.attempt} starts as soon as there is a free slot.")
    return _nothing(f"It is {run.state}: nothing to retry.")


def _cancel(look: Look) -> Decision:
    run, binding = look.under_way, look.binding
    if run is not None:
        if run.state in _GIVEN_UP:
            return _nothing(f"It {'has failed' if run.state is RunState.FAILED else 'is cancelled'} already.")
        if run.wanted is Wanted.CANCEL:
            return _nothing("It is about to be cancelled already.")
        return Decision(Move.WANT_CANCEL, "The controller cancels it.")
    if look.has_result:
        return _nothing("It is done: there is nothing to cancel.")
    if binding is not None and binding.state is BindingState.CANCELLED:
        return _nothing("It is cancelled already.")
    return Decision(Move.CANCEL_TASK, "It is cancelled.")


def _hold(look: Look) -> Decision:
    run, binding = look.under_way, look.binding
    if run is not None:
        if run.state in _GIVEN_UP:
            return _nothing(f"It {'has failed' if run.state is RunState.FAILED else 'is cancelled'}: nothing goes on.")
        if run.wanted is Wanted.CANCEL:
            return _nothing("It is about to be cancelled.")
        if run.wanted is Wanted.HOLD:
            return _nothing("It is held already.")
        if run.state is RunState.PUBLISHED:
            return Decision(Move.WANT_HOLD, "Its outputs aren't loaded until it is released.")
        return Decision(Move.WANT_HOLD, "The controller holds it.")
    if look.has_result:
        return _nothing("It is done: there is nothing to hold.")
    if binding is not None and binding.state is BindingState.HELD:
        return _nothing("It is held already.")
    if binding is not None and binding.state in (BindingState.CANCELLED, BindingState.REFUSED):
        return _nothing(f"It is {binding.state}: nothing goes on.")
    return Decision(Move.HOLD_TASK, "It is held.")


def _release(look: Look) -> Decision:
    run, binding = look.under_way, look.binding
    if run is not None:
        if run.wanted is Wanted.HOLD:
            return Decision(Move.WANT_RUN, "It goes on.")
        return _nothing(f"It isn't held, but {run.state}.")
    if binding is not None and binding.state is BindingState.HELD:
        return Decision(Move.REOPEN, "It is pending again: the controller plans it.")
    return _nothing("It isn't held.")
