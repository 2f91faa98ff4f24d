"""The error tree: every error a person may meet says what happened, why, and what to do next.

Each class has a stable ``code`` for machines and belongs to one failure class
(:class:`fmdj_cloud.contracts.FailureClass`). The worker's exit code derives from it.
"""

from __future__ import annotations

from typing import ClassVar


class FmdjError(Exception):
    """Base of all errors raised on purpose.

    Parameters
    ----------
    sentence : str
        One sentence that names the thing, the value and the remedy.

    Attributes
    ----------
    code : str
        Stable identifier for machines.
    exit_code : int
        Exit code of a program that ends with this error.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class InputError(FmdjError):
    """An input file, ROI or parameter can't be processed; trying again won't help (exit 10-19).

    Parameters
    ----------
    sentence : str
        One sentence that names the thing, the value and the remedy.
    check : str
        Name of the check that refused (``fmdj retry KEY --accept CHECK`` overrides it).
    """

    code = "input"
    exit_code = 10

    def __init__(self, sentence: str, *, check: str = "") -> None:
        super().__init__(sentence)
        self.check = check


class InputMissingError(InputError):
    """An input isn't there (yet): planning waits for it, a worker that finds it gone fails."""

    code = "input_missing"
    exit_code = 11


class ConfigError(FmdjError):
    """A setting, a right or a version is wrong; the lab's administrator must change it (20-29)."""

    code = "config"
    exit_code = 20


class ChangedError(FmdjError):
    """An input was replaced since the task was planned (exit 12): it is planned again."""

    code = "changed"
    exit_code = 12


class StorageError(FmdjError):
    """The object store failed, or what it holds isn't what was written (exit 30-39)."""

    code = "storage"
    exit_code = 30


class IntegrityError(StorageError):
    """Bytes arrived that don't match the size or the checksum recorded for them."""

    code = "integrity"
    exit_code = 31


class ObjectMissingError(StorageError):
    """An object that was asked for isn't there."""

    code = "object_missing"
    exit_code = 32


class PreconditionError(StorageError):
    """An object isn't the version that was asked for (HTTP 412)."""

    code = "precondition"
    exit_code = 33


class GpuError(FmdjError):
    """A GPU was promised and doesn't work (exit 40-49)."""

    code = "gpu"
    exit_code = 40


class MemoryExhaustedError(FmdjError):
    """The computation ran out of memory (exit 50-54)."""

    code = "memory"
    exit_code = 50


class DiskFullError(FmdjError):
    """The scratch disk is full (exit 55-59)."""

    code = "disk"
    exit_code = 55


class BudgetError(FmdjError):
    """The computation ran past its time budget (exit 60)."""

    code = "budget"
    exit_code = 60


class CrashError(FmdjError):
    """The computation ended for no reason that is known (exit 1)."""

    code = "crash"
    exit_code = 1


class StoppedError(FmdjError):
    """The program was asked to stop (exit 143)."""

    code = "stopped"
    exit_code = 143


class LoadError(FmdjError):
    """Outputs fail verification or quality control, or don't fit the tables.

    Parameters
    ----------
    sentence : str
        One sentence that names the thing, the value and the remedy.
    check : str
        Name of the quality check that failed, if it was one.
    """

    code = "load"
    exit_code = 1

    def __init__(self, sentence: str, *, check: str = "") -> None:
        super().__init__(sentence)
        self.check = check


class DatabaseError(FmdjError):
    """The database can't be reached, or refuses what is needed."""

    code = "database"
    exit_code = 4


class DeadlockError(DatabaseError):
    """Others held rows that a transaction needed: the server ended it, nothing was written, and it may be repeated."""

    code = "deadlock"


class AnsweredError(DatabaseError):
    """The server is there and refused a statement, for a reason that isn't known to pass."""

    code = "answered"


class LostRaceError(FmdjError):
    """A conditional change found the row already changed by somebody else: nothing was written."""

    code = "lost_race"
    exit_code = 1


class BusyError(FmdjError):
    """Somebody else has the task in hand, or people hold it: nothing was done (exit 1)."""

    code = "busy"
    exit_code = 1


class UsageError(FmdjError):
    """A command line can't be understood or names something that doesn't exist."""

    code = "usage"
    exit_code = 2
