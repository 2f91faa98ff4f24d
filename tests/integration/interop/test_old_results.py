"""Results in a schema of DataJoint 0.14 and element-facemap 0.1 are audited, mended and exported as they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest
from pynwb import NWBHDF5IO

from fmdj_cloud.audit.files import Files
from fmdj_cloud.audit.look import Mending, audit_result
from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.export.nwb import NwbOptions, export_nwb
from fmdj_cloud.export.select import choose
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.storage import open_store
from tests.support.audit import moving
from tests.support.datajoint014.lab import OLD, OldLab

pytestmark = pytest.mark.integration
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
START = dt.datetime(2024, 5, 6, 7, 8, 9)


def test_a_labs_own_loader_left_faults(make_old_lab: Callable[..., OldLab]) -> None:
    old = make_old_lab("subject : varchar(8)\nsession_datetime : datetime", OLD)
    key = old.add_task({"subject": "m1", "session_datetime": START}, facemap_params=moving.task_params())
    old.publish(key, moving.write(old.folder / "s.h5"), moving.manifest(), svd=moving.params())
    assert [result.end for result in old.load()] == [LoadEnd.LOADED]
    ledger, lab = old.open()
    files = Files(old.settings, ledger, open_store(old.settings.storage))
    choice = Choice(lab, lab.tasks(Kind.SVD), key)
    assert audit_result(choice, files, None, NOW).findings == ()

    # a row for every frame, by the lab's own client, as element-facemap 0.1.7 slices them
    masks, courses = moving.regions()[1].mot
    old.run(
        """
        (FacialSignal.MotionSVD & key & {"roi_no": 1}).delete_quick()
        rows = [{"roi_no": 1, "pc_no": n, "motmask": masks[n % 4], "projection": one} for n, one in enumerate(courses)]
        FacialSignal.MotionSVD.insert([{**key, **row} for row in rows], allow_direct_insert=True)
        """,
        key=key,
        masks=masks,
        courses=courses,
    )
    found = audit_result(choice, files, None, NOW)
    assert [(one.check, one.certainty, one.table) for one in found.findings] == [("axis", "certain", "MotionSVD")]
    mending = Mending(really=True, renumber=False, folder=old.folder / "kept")
    assert audit_result(choice, files, mending, NOW).repaired
    rows = old.run(
        'result = (FacialSignal.MotionSVD & key & {"roi_no": 1}).fetch("projection", order_by="pc_no")', key=key
    )
    np.testing.assert_array_equal(np.stack(list(rows), axis=1), courses)
    _check_exported(old, ledger, key)


def _check_exported(old: OldLab, ledger: Ledger, key: dict[str, object]) -> None:
    _, lab = old.open()
    out = old.folder / "old.nwb"
    export_nwb(choose([lab], ledger, key), ledger, open_store(old.settings.storage), out, NwbOptions())
    with NWBHDF5IO(str(out), mode="r") as io:
        file = io.read()
        assert file.session_start_time == START.replace(tzinfo=dt.UTC)
        np.testing.assert_array_equal(
            file.processing["behavior"]["MotionSVDSeriesRegion1"].data[:], moving.regions()[1].mot[1]
        )
