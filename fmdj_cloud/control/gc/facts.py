"""What housekeeping sees, and what it says of it."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Iterator

from fmdj_cloud.contracts import Frozen, RunState
from fmdj_cloud.contracts.shards import BASIS_NAME, part_index
from fmdj_cloud.control.specs import SPEC_NAME
from fmdj_cloud.names import ATTEMPT_MAX, POSE_SUFFIX, PROC_SUFFIX, check_nonce, pose_metadata
from fmdj_cloud.storage.manifests import MANIFEST_NAME


class Thing(enum.StrEnum):
    """Kinds of leftovers."""

    OUTPUTS = "outputs"
    """Manifests, signals.h5 and Facemap's files."""
    PARTS = "parts"
    """What shards and stopped workers keep for the next attempt."""
    LOGS = "logs"
    SPECS = "specs"
    UPLOADS = "uploads"
    """Pieces of uploads that were cut off."""
    JOBS = "jobs"
    RESERVATIONS = "reservations"
    ROWS = "rows"
    """Of Pupil, Blink and Running."""


STORED = (Thing.OUTPUTS, Thing.PARTS, Thing.LOGS, Thing.SPECS)
"""In attempt folders, in the order in which they are deleted: a spec outlives what was made from it."""


class RunFact(Frozen):
    """What matters of a run."""

    run_id: str
    pipeline: str
    state: RunState
    attempt: int
    updated: dt.datetime
    manifest_sha256: str | None = None
    has_result: bool = False
    """Whether its task has a result in the database, whosoever."""


class Heap(Frozen):
    """Things of one kind in one attempt folder."""

    folder: str
    """URI of the attempt folder."""
    place: str
    """The folder relative to the processed root."""
    run_id: str
    attempt: int
    thing: Thing
    files: int
    size: int
    """Bytes."""
    newest: dt.datetime
    """When the youngest was written: naive UTC."""


class Upload(Frozen):
    """An upload that was begun and never ended."""

    uri: str
    run_id: str
    """Empty where it isn't in an attempt folder."""
    size: int
    started: dt.datetime


class JobFact(Frozen):
    """A Job of this installation whose run the ledger doesn't know."""

    name: str
    run_id: str
    """Empty where it doesn't say one."""
    over: bool
    created: dt.datetime | None = None


class References(Frozen):
    """What is pointed at and therefore stays."""

    runs: frozenset[str] = frozenset()
    """Runs named in the facemap_output_dir of a task."""
    places: frozenset[str] = frozenset()
    """Folders that tasks load outputs from, without slashes at the ends."""
    attempts: frozenset[tuple[str, int]] = frozenset()
    """(run, attempt) with files that manifests of others name."""


class Facts(Frozen):
    """All that was seen at one moment."""

    now: dt.datetime
    """The database's clock, naive UTC."""
    runs: dict[str, RunFact]
    pipelines: frozenset[str]
    """Those whose tasks could be asked what they refer to."""
    heaps: tuple[Heap, ...] = ()
    uploads: tuple[Upload, ...] = ()
    jobs: tuple[JobFact, ...] = ()
    references: References = References()


class Leftover(Frozen):
    """One line of the answer: something that may go, or that nobody knows."""

    thing: Thing
    where: str
    run_id: str = ""
    attempt: int | None = None
    files: int = 1
    size: int | None = None
    """Bytes, where they are known."""
    age_s: float | None = None
    """Since it was of use for the last time, or a Job was made, seconds."""
    why: str
    goes: bool = True
    """False for what is only reported."""
    done: bool = False


_NUMBER = rf"[1-9]\d{{0,{len(str(ATTEMPT_MAX)) - 1}}}"
_ATTEMPT = re.compile(
    rf"(?P<place>(?:.*/)?(?P<run>(?:svd|pose|import)-[0-9a-f]{{16}})/a(?P<attempt>{_NUMBER}))/(?P<name>.+)"
)
_FACEMAPS = "|".join(map(re.escape, (PROC_SUFFIX, POSE_SUFFIX, pose_metadata(POSE_SUFFIX))))
_POD_OUTPUTS = re.compile(rf"{re.escape(MANIFEST_NAME)}|signals\.h5|facemap/.+(?:{_FACEMAPS})")
_POD_PARTS = re.compile(rf"parts/.+|(?:basis|indices|part)\.h5|{re.escape(BASIS_NAME)}")
_POD_LOGS = frozenset({"run.log", "captured/run.log", "progress.json"})


def attempt_of(path: str) -> tuple[str, str, int, str] | None:
    """Return (place, run id, attempt, name within the attempt) of a path below the processed root, if it has them."""
    found = _ATTEMPT.fullmatch(path)
    if found is None:
        return None
    return found["place"], found["run"], int(found["attempt"]), found["name"]


def thing_of(name: str) -> Thing | None:
    """Return what a file in an attempt folder is: pure.

    Parameters
    ----------
    name : str
        Relative to the attempt folder.

    Returns
    -------
    Thing or None
        None for a file that no program of ours writes: whosoever it is, it stays.
    """
    if name == SPEC_NAME:
        return Thing.SPECS
    if name == MANIFEST_NAME:
        return Thing.OUTPUTS
    if name == BASIS_NAME or part_index(name) is not None:
        return Thing.PARTS
    nonce, _, rest = name.partition("/")
    try:
        check_nonce(nonce)
    except ValueError:
        return None
    if _POD_OUTPUTS.fullmatch(rest):
        return Thing.OUTPUTS
    if rest in _POD_LOGS:
        return Thing.LOGS
    if _POD_PARTS.fullmatch(rest) or part_index(rest) is not None:
        return Thing.PARTS
    return None


def ends_of(given: str) -> frozenset[str]:
    """Return the places that an output directory may mean, relative to a root that isn't known: all ends of it."""
    pieces = [piece for piece in given.replace("\\", "/").split("/") if piece]
    return frozenset("/".join(pieces[start:]) for start in range(len(pieces)))


def folders_of(place: str) -> Iterator[str]:
    """Yield a folder and all folders above it."""
    while place:
        yield place
        place = place.rpartition("/")[0]


def is_commit(name: str) -> bool:
    """Tell whether a file in an attempt folder says that others are complete: it goes before them."""
    return name.endswith(".json") and name != SPEC_NAME
