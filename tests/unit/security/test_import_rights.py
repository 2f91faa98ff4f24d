"""No part can reach what it has no business with: checked on what really gets imported, beside the rules for sources.

The rules of pyproject.toml (`lint-imports`) say the same of the sources. Grants and bucket policies are tested by users
that have only these (tests/integration/cli/test_grants.py, test_policies.py), the Role by a cluster that refuses all
else (tests/integration/helm/test_chart_rights.py), tokens and Secrets of pods in tests/integration/helm.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.buckets import bucket_policy
from fmdj_cloud.control.grants import _LEDGER_RIGHTS, Program
from fmdj_cloud.settings import PipelineSettings

LAB = PipelineSettings(
    name="lab",
    behavior_schema="facemap",
    video_roots=("s3://lab/videos",),
    processed_root="s3://lab/processed",
)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("fmdj_cloud.worker.main", {"datajoint", "kubernetes", "pymysql", "psycopg2"}),
        ("fmdj_cloud.load.loop", {"kubernetes", "facemap", "torch", "cv2", "av"}),
        ("fmdj_cloud.control.loop", {"facemap", "torch", "cv2", "av", "pickle5", "dill", "cloudpickle"}),
        ("fmdj_cloud.control.gc.run", {"facemap", "torch", "cv2", "av"}),
    ],
)
def test_a_program_has_no_client_of_what_it_must_not_reach(module, absent):
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert not absent & set(done.stdout.split())


def actions(program):
    """Return action -> resources of a program's policy."""
    found = {}
    for statement in bucket_policy(program, [LAB])["Statement"]:
        for action in statement["Action"]:
            found.setdefault(action, set()).update(statement["Resource"])
    return found


def test_only_housekeeping_deletes_and_only_in_attempt_folders():
    for program in Program:
        deletes = actions(program).get("s3:DeleteObject", set())
        if program is not Program.GC:
            assert not deletes, program
    attempts = {f"arn:aws:s3:::lab/processed/*/{kind}-*/a*/*" for kind in Kind}
    assert actions(Program.GC)["s3:DeleteObject"] == attempts


def test_nobody_writes_where_inputs_lie():
    for program in Program:
        for action, resources in actions(program).items():
            if action.startswith(("s3:Put", "s3:Delete", "s3:Abort")):
                assert not [one for one in resources if "videos" in one], (program, action)


def test_those_who_only_look_change_nothing_in_the_ledger():
    assert _LEDGER_RIGHTS[Program.SERVE] == {}
    assert set(_LEDGER_RIGHTS[Program.GC]) == {"run"}
    assert not any("INSERT" in right or "DELETE" in right for right in _LEDGER_RIGHTS[Program.GC]["run"])
    assert Program.WORKER not in _LEDGER_RIGHTS
