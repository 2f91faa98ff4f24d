"""Which frames count."""

import pytest

from fmdj_cloud.contracts import Limits
from fmdj_cloud.errors import InputError
from fmdj_cloud.worker.counts import count, view_frames
from fmdj_cloud.worker.video import FileFacts

LIMITS = Limits(time_budget_s=1, memory_mib=1, scratch_mib=1, threads=1)


def file(name="a.avi", frames=100, header=None, size=(120, 160)) -> FileFacts:
    return FileFacts(name, *size, 30.0, "mjpeg", frames if header is None else header, frames)


def test_intact_files_count_as_they_are():
    counts = count(((file(),), (file("b.avi", 50),)), LIMITS, ())
    assert counts.frames == (100, 50)
    assert counts.nframes == 150
    assert counts.copies == ((False,), (False,))
    assert counts.warnings == ()


def test_a_header_that_claims_two_frames_too_many_is_a_warning_and_a_copy():
    counts = count(((file(frames=98, header=100),),), LIMITS, ())
    assert counts.frames == (98,)
    assert counts.copies == ((True,),)
    assert "claims 100 frames and 98 can be decoded" in counts.warnings[0]


def test_a_header_that_claims_three_frames_too_many_is_refused():
    with pytest.raises(InputError, match=r"a\.avi claims 100 frames and 97 can be decoded.*Upload it again") as caught:
        count(((file(frames=97, header=100),),), LIMITS, ())
    assert caught.value.check == "missing_frames"


def test_missing_frames_can_be_accepted():
    counts = count(((file(frames=50, header=100),),), LIMITS, ("missing_frames",))
    assert counts.frames == (50,)
    assert len(counts.warnings) == 1


@pytest.mark.parametrize("header", [0, 90])
def test_a_header_that_claims_too_few_frames_costs_a_copy_and_no_frame(header):
    counts = count(((file(frames=100, header=header),),), LIMITS, ())
    assert counts.frames == (100,)
    assert counts.copies == ((True,),)


def test_views_that_differ_are_refused():
    with pytest.raises(InputError, match=r"b\.avi has 101 frames and a\.avi, its simultaneous view, 100") as caught:
        count(((file(), file("b.avi", 101)),), LIMITS, ())
    assert caught.value.check == "view_frames"


def test_views_that_differ_within_the_limit_are_cut_to_the_shortest():
    limits = LIMITS.model_copy(update={"max_view_mismatch_frames": 1})
    counts = count(((file(), file("b.avi", 101)),), limits, ())
    assert counts.frames == (100,)
    assert counts.copies == ((False, True),)
    assert len(counts.warnings) == 1


def test_views_that_differ_can_be_accepted():
    assert count(((file(), file("b.avi", 90)),), LIMITS, ("view_frames",)).frames == (90,)


def test_files_of_one_view_must_have_one_size():
    with pytest.raises(InputError, match=r"b\.avi is 80x60 and a\.avi before it 160x120") as caught:
        count(((file(),), (file("b.avi", size=(60, 80)),)), LIMITS, ())
    assert caught.value.check == "frame_size"


def test_simultaneous_views_may_have_different_sizes():
    assert count(((file(), file("b.avi", size=(60, 80))),), LIMITS, ()).frames == (100,)


def test_every_file_needs_two_frames():
    with pytest.raises(InputError, match=r"b\.avi has 1 frame") as caught:
        count(((file(),), (file("b.avi", 1),)), LIMITS, ())
    assert caught.value.check == "few_frames"


def test_what_was_found_is_told_view_by_view():
    grid = ((file("a0"), file("b0", size=(60, 80))), (file("a1", 49, 50), file("b1", 49, size=(60, 80))))
    first, second = view_frames(grid)
    assert (first.height, first.frames, first.header_frames) == (120, (100, 49), (100, 50))
    assert (second.width, second.frames) == (80, (100, 49))
