"""What labs call things, in a file whose format keeps some signs to itself."""

from __future__ import annotations

import datetime as dt

from pynwb import NWBFile

from fmdj_cloud.export.head import object_name


def test_cameras_and_body_parts_of_any_name_go_into_a_file() -> None:
    file = NWBFile("results", "one", dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    device = file.create_device(name=object_name("Camera: left/1"), description="")
    assert device.name == "Camera_ left_1"
    assert object_name("nose(tip)") == "nose(tip)"
