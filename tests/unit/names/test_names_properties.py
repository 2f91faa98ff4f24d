"""The written specification of names, as properties over any key."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import re
import string
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fmdj_cloud.contracts import BBox, Engine, Kind, PoseParams, Precision, SvdParams, VideoRef
from fmdj_cloud.names import (
    ATTEMPT_MAX,
    attempt_folder,
    canonical_key,
    check_nonce,
    content_digest,
    display_key,
    job_name,
    new_nonce,
    params_digest,
    parse_key,
    run_id,
    task_digest,
)

ATTRIBUTES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
SCALARS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=40),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.timedeltas(),
    st.uuids(),
    st.binary(max_size=16),
)
KEYS = st.dictionaries(ATTRIBUTES, SCALARS, min_size=1, max_size=6)


def typed(key: dict) -> dict:
    """A key with the type of every value: 1 and True are equal in Python, but not to us."""
    return {name: (type(value), value) for name, value in key.items()}


@given(KEYS)
def test_parsing_inverts_the_canonical_key(key: dict) -> None:
    assert typed(parse_key(canonical_key(key))) == typed(key)


@given(KEYS, KEYS)
def test_canonical_keys_are_equal_only_if_the_keys_are(one: dict, other: dict) -> None:
    assert (canonical_key(one) == canonical_key(other)) is (typed(one) == typed(other))


@given(KEYS, st.randoms(use_true_random=False))
def test_the_order_of_attributes_does_not_count(key: dict, choose) -> None:
    items = list(key.items())
    choose.shuffle(items)
    assert canonical_key(dict(items)) == canonical_key(key)
    assert task_digest("lab", "FacemapTask", dict(items)) == task_digest("lab", "FacemapTask", key)


@given(KEYS)
def test_a_canonical_key_is_plain_json_without_spaces_between(key: dict) -> None:
    text = canonical_key(key)
    assert list(json.loads(text)) == sorted(key)
    assert json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9), st.integers(0, 5))
def test_equal_decimals_have_one_form(value: decimal.Decimal, zeros: int) -> None:
    with decimal.localcontext(decimal.Context(prec=200)):
        longer = value * decimal.Decimal(10) ** zeros / decimal.Decimal(10) ** zeros
    assert canonical_key({"depth": value}) == canonical_key({"depth": longer})


@given(st.one_of(hnp.from_dtype(np.dtype(name)) for name in ("int8", "uint64", "float32", "float64", "bool", "U5")))
def test_numpy_scalars_count_as_what_they_hold(value: np.generic) -> None:
    if isinstance(value, np.floating) and not np.isfinite(value):
        with pytest.raises(ValueError, match="finite"):
            canonical_key({"x": value})
    else:
        assert canonical_key({"x": value}) == canonical_key({"x": value.item()})


@pytest.mark.parametrize(
    "value",
    [
        None,
        float("nan"),
        float("inf"),
        decimal.Decimal("NaN"),
        dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        dt.time(9, 30, tzinfo=dt.UTC),
        [1],
        {"a": 1},
        1j,
    ],
)
def test_what_has_no_canonical_form_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match="session_id"):
        canonical_key({"session_id": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["float", "date", "datetime", "time", "uuid", "decimal", "bytes", "timedelta_us", "a"]),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)


@given(st.one_of(st.text(), JSON.map(lambda value: json.dumps(value, separators=(",", ":"))), KEYS.map(canonical_key)))
def test_any_text_is_a_canonical_key_or_a_value_error(text: str) -> None:
    try:
        key = parse_key(text)
    except ValueError as error:
        assert "canonical form" in str(error)  # noqa: PT017 - both ends are right
    else:
        assert canonical_key(key) == text


@pytest.mark.parametrize(
    "text",
    ['{"b":1,"a":2}', '{"a": 1}', '{"a":{"float":"nan"}}', '{"a":{"timedelta_us":1e300}}', '{"a":null}', "[" * 99999],
)
def test_what_only_looks_like_a_canonical_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="canonical form"):
        parse_key(text)


@given(ATTRIBUTES, ATTRIBUTES, KEYS, ATTRIBUTES, ATTRIBUTES, KEYS)
def test_task_digests_tell_pipeline_table_and_key_apart(p1, t1, k1, p2, t2, k2) -> None:
    same = (p1, t1, typed(k1)) == (p2, t2, typed(k2))
    assert (task_digest(p1, t1, k1) == task_digest(p2, t2, k2)) is same


def test_parts_of_a_digest_do_not_run_together() -> None:
    assert task_digest("ab", "c", {"x": 1}) != task_digest("a", "bc", {"x": 1})
    assert run_id(Kind.SVD, "ab", "c") != run_id(Kind.SVD, "a", "bc")


@given(st.sampled_from(Kind), st.text(), st.text(), st.integers(1, ATTEMPT_MAX))
def test_run_ids_and_job_names_fit_kubernetes(kind: Kind, task: str, content: str, attempt: int) -> None:
    run = run_id(kind, task, content)
    assert re.fullmatch(rf"{kind.value}-[0-9a-f]{{16}}", run)
    name = job_name(run, attempt, "fmdj")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 63 - 6
    assert Kind(run.rpartition("-")[0]) is kind


@given(st.integers())
def test_attempts_are_numbered_from_one(attempt: int) -> None:
    if 1 <= attempt <= ATTEMPT_MAX:
        assert attempt_folder("s3://b/run", attempt) == f"s3://b/run/a{attempt}"
    else:
        with pytest.raises(ValueError, match="attempt"):
            attempt_folder("s3://b/run", attempt)


@given(st.text(string.ascii_lowercase + string.digits + "-_/.A\n", max_size=40))
def test_a_nonce_names_one_folder(text: str) -> None:
    fits = (
        1 <= len(text) <= 36
        and set(text) <= set(string.ascii_lowercase + string.digits + "-")
        and not text.startswith("-")
        and not text.endswith("-")
    )
    if fits:
        assert check_nonce(text) == text
    else:
        with pytest.raises(ValueError, match="nonce"):
            check_nonce(text)


@given(st.uuids())
def test_pod_uids_and_our_own_nonces_fit(uid: uuid.UUID) -> None:
    assert check_nonce(str(uid)) == str(uid)
    assert check_nonce(new_nonce()) != new_nonce()


def test_a_key_is_shown_as_people_type_it() -> None:
    assert display_key({"subject": "m1", "recording_id": 3}) == "subject=m1 recording_id=3"


def _object_array(items: list) -> np.ndarray:
    array = np.empty(len(items), object)
    array[:] = items
    return array


ARRAYS = hnp.arrays(st.sampled_from(["int64", "float32", "bool", "uint8"]), hnp.array_shapes(max_dims=2, max_side=3))
PARAMS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.uuids()
    | st.complex_numbers()
    | ARRAYS
    | st.frozensets(st.text(max_size=3) | st.integers(), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 3), inner, max_size=3)
        | st.lists(inner, min_size=1, max_size=2).map(_object_array)
    ),
    max_leaves=8,
)


@given(PARAMS)
def test_any_parameters_have_a_digest_and_keep_it(params: object) -> None:
    assert re.fullmatch("[0-9a-f]{64}", params_digest({"facemap_params": params}))
    assert params_digest({"facemap_params": params}) == params_digest({"facemap_params": params})


@given(st.dictionaries(st.text(max_size=5), PARAMS, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_parameters_does_not_count(params: dict, choose) -> None:
    items = list(params.items())
    choose.shuffle(items)
    assert params_digest(dict(items)) == params_digest(params)


@given(ARRAYS, st.data())
def test_a_changed_pixel_changes_the_digest(array: np.ndarray, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, array.size - 1))
    edited = array.copy()
    edited.flat[where] = not edited.flat[where] if array.dtype == bool else edited.flat[where] + 1
    if edited.tobytes() != array.tobytes():
        assert params_digest({"ellipse": edited}) != params_digest({"ellipse": array})


def test_values_of_different_types_have_different_digests() -> None:
    values = [4, 4.0, "4", True, None, [4], {"4": 4}, np.arange(4), b"4", np.array([4]), np.array([[4]]), {4}]
    assert len({params_digest({"sbin": value}) for value in values}) == len(values)
    assert params_digest({"sbin": np.int64(4)}) == params_digest({"sbin": 4})


def test_records_with_objects_count_by_value_not_by_address() -> None:
    dtype = [("name", object), ("n", "i4")]
    one, other = (np.array([("".join(["mo", "tion"]), 1)], dtype) for _ in range(2))
    assert params_digest({"x": one}) == params_digest({"x": other})


def video(**changes: object) -> VideoRef:
    return VideoRef(**{"uri": "s3://b/v.avi", "name": "v.avi", "size": 10, "etag": "e", **changes})


boxes = st.builds(
    lambda y, x, height, width: BBox(y0=y, y1=y + height, x0=x, x1=x + width),
    *(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9)),
)
poses = st.builds(
    PoseParams,
    model_uri=st.sampled_from(["", "s3://b/net.pt", "file:///models/net.pt"]),
    model_sha256=st.sampled_from(["", "a" * 64, "b" * 64]),
    body_parts=st.sampled_from([("mouth",), ("mouth", "paw")]),
    bbox=st.lists(boxes, max_size=2).map(tuple),
    pose_view=st.integers(0, 2),
    precision=st.sampled_from(Precision),
)


@given(one=poses, other=poses)
def test_pose_inferences_are_the_same_content_wherever_the_same_model_lies(one: PoseParams, other: PoseParams) -> None:
    digests = [content_digest(Kind.POSE, Engine.FACEMAP, ((video(),),), params) for params in (one, other)]
    moved = one.model_copy(update={"model_uri": other.model_uri})
    assert (digests[0] == digests[1]) == (moved == other)


def test_content_counts_what_changes_the_numbers_and_nothing_else() -> None:
    params = SvdParams(sbin=4)

    def digest(*videos: tuple[VideoRef, ...], engine: Engine = Engine.FACEMAP, of: SvdParams = params) -> str:
        return content_digest(Kind.SVD, engine, videos, of)

    base = digest((video(),))
    assert digest((video(name="other.avi"),)) == base
    different = [
        digest((video(uri="s3://b/w.avi"),)),
        digest((video(size=11),)),
        digest((video(etag="f"),)),
        digest((video(version_id="1"),)),
        digest((video(), video())),
        digest((video(),), (video(),)),
        digest((video(),), engine=Engine.TURBO),
        digest((video(),), of=SvdParams(sbin=8)),
        content_digest(Kind.IMPORT, Engine.FACEMAP, ((video(),),), params),
    ]
    assert len({base, *different}) == 1 + len(different)
