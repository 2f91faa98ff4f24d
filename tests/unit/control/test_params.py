"""facemap_params as labs have them become canonical parameters, or are refused in words."""

from __future__ import annotations

import numpy as np
import pytest
from datajoint.blob import pack, unpack

from fmdj_cloud.contracts import RoiKind, SvdParams
from fmdj_cloud.control.params import parse_params
from fmdj_cloud.demo.gui_export import roi_dict, roi_export
from fmdj_cloud.errors import InputError


def test_plain_arguments_of_run(make_task):
    params, notes = parse_params(make_task(params={"sbin": 4, "motSVD": True, "movSVD": False}))
    assert params == SvdParams(sbin=4, full_svd=True, mot_svd=True, mov_svd=False)
    assert notes == ()


def test_defaults_are_those_of_run_and_the_columns(make_task):
    params, _ = parse_params(make_task(do_mot_svd=False, do_mov_svd=True))
    assert params == SvdParams(sbin=1, full_svd=True, mot_svd=False, mov_svd=True)


def test_a_boolean_in_the_parameters_wins_over_the_column_and_is_noted(make_task):
    params, notes = parse_params(make_task(params={"movSVD": np.True_}, do_mov_svd=False))
    assert params.mov_svd
    assert notes == ("facemap_params says movSVD=True, the task do_mov_svd=False: facemap_params wins.",)


@pytest.mark.parametrize("results", [[np.zeros((5, 3))], [], np.zeros((5, 3)), (np.zeros(0),)])
def test_result_arrays_under_a_flag_are_ignored(make_task, results):
    params, notes = parse_params(make_task(params={"motSVD": results, "movSVD": results}, do_mot_svd=True))
    assert (params.mot_svd, params.mov_svd) == (True, False)
    assert notes == ()


def test_a_nested_proc_dict_supplies_what_run_takes_from_it(make_task, make_roi):
    proc = {"sbin": 8, "fullSVD": False, "rois": [make_roi()], "savepath": None, "motSVD": True}
    params, _ = parse_params(make_task(params={"sbin": 2, "motSVD": False, "proc": proc}, do_mot_svd=False))
    assert (params.sbin, params.full_svd, params.mot_svd, len(params.rois)) == (8, False, False, 1)


def test_a_whole_gui_export_survives_datajoint(make_task):
    rois = [roi_dict(kind, (8, 40, 16, 64), number=number) for number, kind in enumerate(RoiKind)]
    export = roi_export(rois, [["/lab/cam1.avi"]], height=120, width=160, sbin=4, full_svd=False, mot=True, mov=True)
    params, _ = parse_params(make_task(params=unpack(pack(export)), do_mov_svd=True))
    assert params == parse_params(make_task(params=export, do_mov_svd=True))[0]
    assert [roi.kind for roi in params.rois] == list(RoiKind)
    assert params.drawn_on == ((120, 160),)


def test_a_proc_file_with_results_is_taken_for_its_settings(make_task, make_roi):
    results = {"avgframe": [np.zeros(3)], "motMask": [], "pupil": [], "Lybin": np.array([30]), "movSv": np.zeros(0)}
    params, _ = parse_params(make_task(params={"sbin": 4, "rois": [make_roi()], **results}))
    assert params.sbin == 4


def test_unknown_parameters_are_named_with_the_known_ones(make_task):
    with pytest.raises(InputError, match=r"doesn't know: spatial_bin\. Known are .*sbin") as refused:
        parse_params(make_task(params={"spatial_bin": 4, "sbin": 4}))
    assert refused.value.check == "params"


@pytest.mark.parametrize("sbin", [0, -1, 2.5, "4", True, [1, 2]])
def test_a_wrong_bin_is_refused(make_task, sbin):
    with pytest.raises(InputError, match="sbin"):
        parse_params(make_task(params={"sbin": sbin}))


@pytest.mark.parametrize("sbin", [4, 4.0, np.int32(4), np.array(4), np.array([4])])
def test_a_bin_may_be_any_whole_number(make_task, sbin):
    assert parse_params(make_task(params={"sbin": sbin}))[0].sbin == 4


def test_a_flag_that_is_neither_boolean_nor_array_is_refused(make_task):
    with pytest.raises(InputError, match=r"'motSVD'.*'yes'.*True or False"):
        parse_params(make_task(params={"motSVD": "yes"}))


def test_nothing_to_compute_is_refused(make_task):
    with pytest.raises(InputError, match="nothing to compute"):
        parse_params(make_task(params={"fullSVD": False}))


def test_a_damaged_blob_is_refused_in_its_own_words(make_task):
    with pytest.raises(InputError, match="can't be read"):
        parse_params(make_task(params_problem="facemap_params can't be read: it is torn."))


def test_sizes_only_count_where_rois_were_drawn_on_them(make_task):
    assert parse_params(make_task(params={"Ly": [480], "Lx": [640]}))[0].drawn_on is None


def test_sizes_may_be_arrays_or_one_number(make_task, make_roi):
    params, _ = parse_params(make_task(params={"Ly": 480, "Lx": np.array([640]), "rois": [make_roi()]}))
    assert params.drawn_on == ((480, 640),)
