"""What the controller asks of whatever runs attempts."""

from __future__ import annotations

from typing import Protocol

from fmdj_cloud.contracts import JobObservation, JobRequest, Outcome
from fmdj_cloud.errors import FmdjError


class LaunchError(FmdjError):
    """A Job couldn't be created, watched or stopped this time."""

    code = "launch"


class LauncherLostError(LaunchError):
    """What runs the Jobs hasn't been heard of for so long that this process should end: a fresh one may do better."""

    code = "launcher_lost"


class Launcher(Protocol):
    """Starts, watches and stops Jobs. Any number of controllers may use the same one, also at once.

    Names are deterministic, so a Job can't be made twice: whoever comes second finds it.
    """

    @property
    def name(self) -> str:
        """What the ledger records with an attempt: ``local``."""
        ...

    def create(self, request: JobRequest) -> str:
        """Make sure that a Job exists, and return its UID.

        One of the same name and spec digest is adopted, whatever its phase. One of the same name and another
        digest is stopped, confirmed to be over, forgotten and replaced.

        Raises
        ------
        ConfigError
            If a Job of that name isn't ours, or Jobs can't be made here at all.
        LaunchError
            If it didn't work this time.
        """
        ...

    def observe(self) -> tuple[JobObservation, ...]:
        """Return all our Jobs. One that isn't among them doesn't exist, or is too young: see :meth:`is_gone`.

        Raises
        ------
        LaunchError
            If that can't be known now.
        LauncherLostError
            If that hasn't been known for too long.
        """
        ...

    def is_gone(self, name: str) -> bool:
        """Ask whether a Job that :meth:`observe` doesn't show really doesn't exist: what it shows may be late.

        Raises
        ------
        LaunchError
            If that can't be known now.
        """
        ...

    def stop(self, name: str, why: Outcome | None = None) -> None:
        """Begin to stop a Job; it is over when :meth:`observe` shows it ended or not at all. Idempotent.

        Parameters
        ----------
        name : str
        why : Outcome, optional
            Why it is given up, as its observation said: how it is observed to have ended once it is over.
        """
        ...

    def forget(self, name: str) -> None:
        """Delete what is left of a Job that is over; one that runs is left alone. Idempotent."""
        ...

    def tell(self, name: str, what: str, sentence: str) -> None:
        """Tell those who look at a Job what became of its run; what can't be told isn't.

        Parameters
        ----------
        name : str
        what : str
            One word in CamelCase: ``Failed``.
        sentence : str
        """
        ...

    def read_log(self, name: str, nonce: str = "") -> str:
        """Return the end of what a Job wrote, empty if nothing is left of it.

        Parameters
        ----------
        name : str
        nonce : str, optional
            Of the pod that is asked for, of one that has several; the newest by default.
        """
        ...
