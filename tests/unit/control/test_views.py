"""Files are grouped by file_id or by base name, else they follow each other."""

from __future__ import annotations

import pytest

from fmdj_cloud.control.views import group_views
from fmdj_cloud.errors import InputError, InputMissingError

FOUR = ((1, "m1/cam1_a.avi"), (2, "m1/cam2_a.avi"), (3, "m1/cam1_b.avi"), (4, "m1/cam2_b.avi"))


def test_files_follow_each_other_by_default(make_task):
    assert group_views(make_task(files=FOUR)) == (((1,), (2,), (3,), (4,)), ())


def test_views_name_files_by_id(make_task):
    task = make_task(files=FOUR, params={"views": [[1, 2], [3, 4]]})
    assert group_views(task) == (((1, 2), (3, 4)), ())


def test_filenames_of_a_gui_export_match_by_base_name(make_task):
    names = [["C:\\videos\\cam1_a.avi", "/mnt/lab/cam2_a.avi"], ["cam1_b.avi", "cam2_b.avi"]]
    assert group_views(make_task(files=FOUR, params={"filenames": names}))[0] == ((1, 2), (3, 4))


def test_a_flat_list_of_filenames_is_sequential(make_task):
    task = make_task(files=FOUR[:2], params={"filenames": ["cam2_a.avi", "cam1_a.avi"]})
    assert group_views(task)[0] == ((2,), (1,))


def test_an_export_drawn_on_another_video_is_a_template(make_task):
    grouping, notes = group_views(make_task(files=FOUR[:2], params={"filenames": [["other.avi"]]}))
    assert grouping == ((1,), (2,))
    assert "other.avi" in notes[0]


def test_a_recording_of_very_many_files_is_refused_before_anybody_asks_for_them(make_task):
    files = tuple((number, f"m1/{number}.avi") for number in range(4097))
    assert len(group_views(make_task(files=files[1:]))[0]) == 4096
    with pytest.raises(InputError, match="4097 files"):
        group_views(make_task(files=files))


@pytest.mark.parametrize("filenames", [[], "", [[]]])
def test_an_export_without_names_says_nothing(make_task, filenames):
    assert group_views(make_task(files=FOUR[:2], params={"filenames": filenames}))[0] == ((1,), (2,))


def test_a_file_left_out_of_views_is_noted(make_task):
    grouping, notes = group_views(make_task(files=FOUR, params={"views": [[1, 2]]}))
    assert grouping == ((1, 2),)
    assert "cam1_b.avi" in notes[0]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"views": [[1, 9]]}, "names file 9, but .* 1, 2, 3, 4"),
        ({"views": [[1, 2], [3]]}, "rows of 1 and 2 files"),
        ({"views": [[1], [1]]}, "file 1 more than once"),
        ({"views": []}, "list of lists"),
        ({"views": 3}, "list of lists"),
        ({"filenames": [["cam1_a.avi", "lost.avi"]]}, "'lost.avi', which the recording doesn't have"),
        ({"filenames": [["cam1_a.avi", "cam2_a.avi"]]}, "has the file 'cam1_b.avi'"),
        ({"filenames": [["left.avi", "right.avi"]]}, "2 simultaneous views of other videos"),
    ],
)
def test_a_grouping_that_does_not_fit_is_refused(make_task, params, words):
    with pytest.raises(InputError, match=words) as refused:
        group_views(make_task(files=FOUR, params=params))
    assert refused.value.check == "views"


def test_files_of_one_name_need_ids(make_task):
    files = ((1, "a/cam.avi"), (2, "b/cam.avi"))
    with pytest.raises(InputError, match=r"several files called 'cam\.avi'"):
        group_views(make_task(files=files, params={"filenames": [["cam.avi"]]}))


def test_a_recording_without_files_is_waited_for(make_task):
    with pytest.raises(InputMissingError, match="no files"):
        group_views(make_task(files=()))
