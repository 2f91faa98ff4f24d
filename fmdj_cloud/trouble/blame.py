"""Which of the three projects a fault is to be reported to, and why: pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from fmdj_cloud.contracts import FailureClass, Frozen


class Project(enum.StrEnum):
    """Where issues are reported."""

    FACEMAP = "Facemap"
    ELEMENTS = "DataJoint Elements"
    OURS = "fmdj-cloud"


ISSUES = {
    Project.FACEMAP: "https://github.com/MouseLand/facemap/issues",
    Project.ELEMENTS: "https://github.com/datajoint/element-facemap/issues",
    Project.OURS: "https://github.com/fmdj-cloud/fmdj-cloud/issues",
}


class Blame(Frozen):
    """Where a fault belongs."""

    project: Project
    why: str
    issues: str
    """Where its issues are."""


class Evidence(Frozen):
    """What is known of a fault."""

    failure_class: FailureClass | None = None
    """None where nothing failed."""
    sentence: str = ""
    log: str = ""
    """The end of it."""
    foreign_rows: bool = False
    """Whether result rows are there that no run of ours wrote."""
    doctor_failed: tuple[str, ...] = ()
    """Checks of ``fmdj doctor`` that failed."""


_FRAME = re.compile(r'^\s*File "([^"]+)", line \d+', re.MULTILINE)
_START = "Traceback (most recent call last):"
_PACKAGES = {
    "facemap": Project.FACEMAP,
    "element_facemap": Project.ELEMENTS,
    "element_interface": Project.ELEMENTS,
    "fmdj_cloud": Project.OURS,
}
_LABS = {
    FailureClass.INPUT: "an input that can't be used",
    FailureClass.CONFIG: "a setting",
    FailureClass.CHANGED: "videos that were replaced meanwhile",
    FailureClass.STORAGE: "the object store",
    FailureClass.MEMORY: "too little memory",
    FailureClass.DISK: "too little scratch disk",
    FailureClass.GPU: "a GPU",
    FailureClass.DISRUPTED: "machines that were taken away",
    FailureClass.IMAGE: "an image that can't be pulled",
    FailureClass.UNSCHEDULABLE: "a cluster without a machine for it",
}
"""Classes whose cause is most often none of the three projects."""


def whose(evidence: Evidence) -> Blame:
    """Return the project that a fault is to be reported to.

    Parameters
    ----------
    evidence : Evidence

    Notes
    -----
    A traceback decides, by the innermost of its frames that is one of the projects' own: what numpy raises within
    Facemap is Facemap's. Its frames count only where something crashed or ran out of time. Rows that no run of ours
    wrote are the Element's own loader's. All else is ours: it is we who looked, and said what is wrong.
    """
    if evidence.failure_class in (FailureClass.CRASH, FailureClass.BUDGET, None):
        found = _innermost(evidence.log)
        if found is not None and found[0] is not Project.OURS:
            project, path = found
            return _blame(project, f"The log ends with an error in {path}, which is {project.value}'s own code.")
    if evidence.foreign_rows:
        return _blame(
            Project.ELEMENTS,
            "The result's rows were not written by a run of fmdj-cloud, but by the Element's own loader or by hand; "
            "`fmdj audit` tells what is wrong with them.",
        )
    failure = evidence.failure_class
    if failure in _LABS:
        return _blame(
            Project.OURS,
            f"The failure is of class `{failure}`: most often that is {_LABS[failure]}, and nobody's fault; where the "
            "sentence is wrong, it is fmdj-cloud that says it.",
        )
    if failure is FailureClass.LOAD:
        return _blame(Project.OURS, "The outputs fail the checks of fmdj-cloud before they are loaded.")
    if failure is FailureClass.BUDGET:
        return _blame(Project.OURS, "It ran past the time budget that fmdj-cloud gave it.")
    if failure is not None:
        return _blame(
            Project.OURS,
            f"The failure is of class `{failure}`, and no error of Facemap's or the Element's is in its log.",
        )
    if evidence.doctor_failed:
        checks = ", ".join(evidence.doctor_failed)
        return _blame(Project.OURS, f"`fmdj doctor` finds fault with: {checks}.")
    return _blame(Project.OURS, "Nothing here failed; what you describe is about fmdj-cloud unless you know better.")


def _blame(project: Project, why: str) -> Blame:
    return Blame(project=project, why=why, issues=ISSUES[project])


def _innermost(log: str) -> tuple[Project, str] | None:
    """Return whose the innermost frame of the last traceback is that is one of the projects', and its file."""
    for path in reversed(list(_frames(log))):
        parts = path.replace("\\", "/").split("/")
        for number in range(len(parts) - 2, -1, -1):
            project = _PACKAGES.get(parts[number])
            if project is not None:
                return project, "/".join(parts[number:])
    return None


def _frames(log: str) -> Iterator[str]:
    _, found, last = log.rpartition(_START)
    if found:
        yield from (match.group(1) for match in _FRAME.finditer(last))
