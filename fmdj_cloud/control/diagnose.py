"""How an attempt ended, from what its process left behind: pure.

The exit code decides; the worker's termination message gives the words. What isn't known is a crash.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from fmdj_cloud.contracts import FailureClass, Outcome, TerminationMessage

EXIT_CHANGED = 12
EXIT_BUDGET = 60
EXIT_STOPPED = 143

_RANGES = (
    (range(10, 20), FailureClass.INPUT),
    (range(20, 30), FailureClass.CONFIG),
    (range(30, 40), FailureClass.STORAGE),
    (range(40, 50), FailureClass.GPU),
    (range(50, 55), FailureClass.MEMORY),
    (range(55, 60), FailureClass.DISK),
)
_SINGLE = {
    EXIT_CHANGED: FailureClass.CHANGED,
    EXIT_BUDGET: FailureClass.BUDGET,
    EXIT_STOPPED: FailureClass.DISRUPTED,
    128 + signal.SIGKILL: FailureClass.MEMORY,
}
_WORDS = {
    FailureClass.INPUT: "The worker refused its input",
    FailureClass.CONFIG: "The worker found a wrong setting",
    FailureClass.CHANGED: "A video was replaced since the task was planned",
    FailureClass.STORAGE: "The object store failed",
    FailureClass.MEMORY: "The worker ran out of memory or was killed for it",
    FailureClass.DISK: "The worker ran out of scratch disk",
    FailureClass.GPU: "The GPU doesn't work",
    FailureClass.DISRUPTED: "The worker was stopped from outside",
    FailureClass.BUDGET: "The worker ran past its time budget",
    FailureClass.CRASH: "The worker crashed",
}


@dataclass(frozen=True)
class ProcessEnd:
    """How a supervised process ended.

    Attributes
    ----------
    exit_code : int or None
        None if a signal ended it, or it never started.
    signal : int or None
        The signal that ended it.
    stopped : bool
        Whether the supervisor was asked to stop it.
    overdue : bool
        Whether the supervisor ended it for running far past its time budget.
    error : str
        Why it couldn't be started, empty if it was.
    """

    exit_code: int | None = None
    signal: int | None = None
    stopped: bool = False
    overdue: bool = False
    error: str = ""


def diagnose(end: ProcessEnd, message: TerminationMessage | None) -> Outcome:
    """Return how an attempt ended.

    Parameters
    ----------
    end : ProcessEnd
    message : TerminationMessage or None
        The worker's last word, if it left one.

    Returns
    -------
    Outcome
        `ok` says only that the worker claims success.
    """
    code = end.exit_code if end.signal is None else 128 + end.signal
    evidence = {"exit_code": "none" if code is None else str(code)}
    if message is not None:
        evidence["code"] = message.code
    if end.error:
        sentence = f"The worker couldn't be started: {end.error}. Install the worker beside the controller."
        return Outcome(failure_class=FailureClass.CONFIG, sentence=sentence, evidence=evidence)
    if end.overdue:
        sentence = "The worker ran far past its time budget without ending itself and was killed."
        return Outcome(failure_class=FailureClass.BUDGET, sentence=sentence, evidence=evidence)
    if code == 0:
        return Outcome(
            sentence=message.sentence if message else "",
            evidence=evidence,
            manifest_sha256=message.manifest_sha256 if message else None,
        )
    failure = _classify(code)
    if end.stopped and failure in (FailureClass.CRASH, FailureClass.MEMORY):
        # killed at the end of the grace, or fell over while stopping
        failure = FailureClass.DISRUPTED
    agrees = message is not None and message.exit_code == code
    sentence = (
        message.sentence if message is not None and agrees and message.sentence else _sentence(failure, end, code)
    )
    return Outcome(
        failure_class=failure,
        sentence=sentence,
        check=message.check if message is not None and agrees else "",
        evidence=evidence,
    )


_WORST_FIRST = (
    FailureClass.INPUT,
    FailureClass.CONFIG,
    FailureClass.CHANGED,
    FailureClass.LOAD,
    FailureClass.IMAGE,
    FailureClass.UNSCHEDULABLE,
    FailureClass.MEMORY,
    FailureClass.DISK,
    FailureClass.BUDGET,
    FailureClass.GPU,
    FailureClass.CRASH,
    FailureClass.STORAGE,
    FailureClass.VANISHED,
    FailureClass.DISRUPTED,
)


def worst_of(failures: Sequence[FailureClass]) -> int | None:
    """Return the place of the failure that says most of what has to happen next; None if there is none.

    What another try can't change comes first, then what needs more of something, then what may be a fault, and last
    what is nobody's: a pod that fails takes others with it, which were merely stopped.
    """
    ranks = [_WORST_FIRST.index(failure) for failure in failures]
    return ranks.index(min(ranks)) if ranks else None


def vanished(what: str) -> Outcome:
    """Return the outcome of an attempt whose Job is gone without a trace.

    Parameters
    ----------
    what : str
        What disappeared, and how that is known: the sentence.
    """
    return Outcome(failure_class=FailureClass.VANISHED, sentence=what)


def _classify(code: int | None) -> FailureClass:
    if code is None:
        return FailureClass.CRASH
    if code in _SINGLE:
        return _SINGLE[code]
    return next((failure for codes, failure in _RANGES if code in codes), FailureClass.CRASH)


def _sentence(failure: FailureClass, end: ProcessEnd, code: int | None) -> str:
    if end.signal is not None:
        try:
            how = f"killed by {signal.Signals(end.signal).name}"
        except ValueError:
            how = f"killed by signal {end.signal}"
    else:
        how = f"exit code {code}" if code is not None else "no exit code"
    return f"{_WORDS[failure]} ({how}) and left no explanation: see its log."
