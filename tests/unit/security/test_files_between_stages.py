"""What one stage leaves for another lies where others may write: it must not make a worker publish its own secrets."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from fmdj_cloud.errors import StorageError
from fmdj_cloud.worker.index_file import read_indices
from fmdj_cloud.worker.pose.shard import read_part
from fmdj_cloud.worker.turbo.bases import read_bases
from fmdj_cloud.worker.turbo.part import Part

SECRET = b"AWS_SECRET_ACCESS_KEY=canary\0\0\0\0"


def soft(file, _):
    file["avgframe"] = h5py.SoftLink("/elsewhere")


def external_link(file, secret):
    with h5py.File(secret.with_suffix(".h5"), "w") as other:
        other["taken"] = np.zeros(4)
    file.create_group("0")["mot"] = h5py.ExternalLink(str(secret.with_suffix(".h5")), "taken")


def external_bytes(file, secret):
    file.create_dataset("avgframe", (8,), "f4", external=[(str(secret), 0, len(SECRET))])


def virtual(file, secret):
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "taken", (8,))
    file.create_virtual_dataset("avgframe", layout)


@pytest.mark.parametrize("lead_out", [soft, external_link, external_bytes, virtual])
@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("fmdj-turbo-part", Part),
        ("fmdj-turbo-basis", read_bases),
        ("fmdj-indices", read_indices),
        ("fmdj-pose-part", read_part),
    ],
)
def test_a_file_that_leads_to_others_is_refused(tmp_path, kind, read, lead_out):
    (tmp_path / "environ").write_bytes(SECRET)
    path = tmp_path / "given.h5"
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": kind, "version": 1, "start": 0, "stop": 8, "nframes": 8, "frames": [8]})
        lead_out(file, tmp_path / "environ")
    with pytest.raises(StorageError, match="leads to another file"):
        read(path)
