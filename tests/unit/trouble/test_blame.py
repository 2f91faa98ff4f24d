"""A fault goes to the project whose code failed, with the reason."""

from __future__ import annotations

import pytest

from fmdj_cloud.contracts import FailureClass
from fmdj_cloud.trouble.blame import ISSUES, Evidence, Project, whose

_SITE = "/opt/venv/lib/python3.11/site-packages"


def traceback(*files: str, error: str = "ValueError: no") -> str:
    frames = "".join(f'  File "{file}", line 7, in run\n    x()\n' for file in files)
    return f"some line\nTraceback (most recent call last):\n{frames}{error}\nlast line\n"


OURS = f"{_SITE}/fmdj_cloud/worker/svd/child.py"
FACEMAP = f"{_SITE}/facemap/process.py"
NUMPY = f"{_SITE}/numpy/linalg/linalg.py"
ELEMENT = f"{_SITE}/element_facemap/facial_behavior_estimation.py"


@pytest.mark.parametrize(
    ("evidence", "project", "why"),
    [
        (
            Evidence(failure_class=FailureClass.CRASH, log=traceback(OURS, FACEMAP, NUMPY)),
            Project.FACEMAP,
            "facemap/process.py",
        ),
        (
            Evidence(failure_class=FailureClass.CRASH, log=traceback(OURS, ELEMENT)),
            Project.ELEMENTS,
            "element_facemap/facial_behavior_estimation.py",
        ),
        (Evidence(failure_class=FailureClass.CRASH, log=traceback(FACEMAP, OURS, NUMPY)), Project.OURS, "crash"),
        (Evidence(failure_class=FailureClass.CRASH, log=traceback(FACEMAP) + traceback(OURS)), Project.OURS, "crash"),
        (Evidence(failure_class=FailureClass.CRASH, log="killed"), Project.OURS, "crash"),
        (Evidence(failure_class=FailureClass.BUDGET, log=traceback(OURS, FACEMAP)), Project.FACEMAP, "facemap/process"),
        (Evidence(failure_class=FailureClass.BUDGET), Project.OURS, "time budget"),
        (Evidence(failure_class=FailureClass.INPUT, log=traceback(FACEMAP)), Project.OURS, "an input"),
        (Evidence(failure_class=FailureClass.LOAD), Project.OURS, "fail the checks"),
        (Evidence(foreign_rows=True), Project.ELEMENTS, "own loader"),
        (Evidence(doctor_failed=("database", "ledger")), Project.OURS, "database, ledger"),
        (Evidence(), Project.OURS, "Nothing here failed"),
    ],
)
def test_the_innermost_frame_of_a_project_decides(evidence: Evidence, project: Project, why: str) -> None:
    blame = whose(evidence)
    assert blame.project is project
    assert why in blame.why
    assert blame.issues == ISSUES[project]


@pytest.mark.parametrize("failure", FailureClass)
def test_every_class_has_a_project_and_a_reason(failure: FailureClass) -> None:
    blame = whose(Evidence(failure_class=failure))
    assert blame.project is Project.OURS
    assert blame.why.endswith(".")
