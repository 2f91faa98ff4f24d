"""The reader of pickles builds what Facemap saves, and nothing else, whatever the bytes."""

from __future__ import annotations

import io
import os
import pickle
import pickletools
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmdj_cloud.worker.importing import machine
from fmdj_cloud.worker.importing.machine import load_pickle
from fmdj_cloud.worker.importing.npy import pickle_start
from fmdj_cloud.worker.importing.numpy_values import PickledArray
from fmdj_cloud.worker.importing.refusal import RefusedError

U4 = struct.Struct("<I").pack
U8 = struct.Struct("<Q").pack
DTYPE = b"cnumpy\ndtype\n"
RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
EMPTY_ARRAY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R"


def text(value: str) -> bytes:
    return b"X" + U4(len(value)) + value.encode()


def dtype(code: str) -> bytes:
    return DTYPE + text(code) + b"\x89\x88\x87R"


def array(shape: bytes, code: str, content: bytes) -> bytes:
    return b"\x80\x03" + EMPTY_ARRAY + b"(K\x01" + shape + dtype(code) + b"\x89" + content + b"tb."


def read(data: bytes) -> object:
    return load_pickle(memoryview(data))


def plain(value: object) -> object:
    if isinstance(value, PickledArray):
        return value.array if value.array is not None else [plain(item) for item in value.items]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    return bytes(value) if isinstance(value, memoryview) else value


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [True, None, -5, 2**40, -(2**40), 1.5, "µ"], "c": (1, (2, 3), ()), "d": {"e": {}}, "f": 70_000},
        [[["/x/a.avi", "/x/b.avi"]], list(range(2_500))],
    ],
)
def test_plain_values_come_back(protocol: int, value: object) -> None:
    assert plain(read(pickle.dumps(value, protocol))) == value


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(4, dtype=">i4"),
        np.array(["a", "bcd"]),
        np.zeros((0, 1), np.float32),
        np.array([True, False]),
        np.array(7, np.uint8),
    ],
)
def test_arrays_come_back(protocol: int, value: np.ndarray) -> None:
    found = read(pickle.dumps(value, protocol)).array
    np.testing.assert_array_equal(found, value)
    assert found.dtype == value.dtype


def test_numbers_of_numpy_become_plain() -> None:
    value = [np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("x")]
    assert plain(read(pickle.dumps(value, 3))) == [1.5, -3, True, "x"]


def test_the_names_of_numpy_2_are_known() -> None:
    data = pickle.dumps({"x": np.arange(3.0), "y": np.float64(2)}, 4)
    newer = data.replace(b"\x8c\x15numpy.core.multiarray", b"\x8c\x16numpy._core.multiarray")
    assert newer != data
    assert plain(read(newer))["y"] == 2.0


def test_an_array_of_objects_keeps_its_elements() -> None:
    assert plain(read(pickle.dumps(np.array([None, {"a": 1}, [2]], object), 3))) == [None, {"a": 1}, [2]]


def test_arrays_are_views_of_the_file() -> None:
    data = pickle.dumps([np.zeros(4_000_000, np.float64)], 3)
    tracemalloc.start()
    read(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


class Evil:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> object:
        return self.call[0], tuple(self.call[1:])


MANY = 300_000
HOSTILE = {
    "runs a command": pickle.dumps(Evil(os.system, "touch owned"), 3),
    "runs a command, newer": pickle.dumps(Evil(os.system, "touch owned"), 4),
    "evaluates": pickle.dumps(Evil(eval, "1"), 2),
    "opens a file": pickle.dumps(Evil(open, "owned", "w"), 3),
    "a name like an allowed one": b"\x80\x03cnumpy.core.multiarray\nfromfile\n.",
    "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__init__\x93.",
    "the old instance opcode": b"(cos\nsystem\nios\nsystem\n.",
    "an object of a class": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "8 GB through an allowed name": b"\x80\x03cnumpy\nndarray\n" + b"J" + b"\x00\xca\x9a\x3b" + b"\x85" + b"\x85R.",
    "a dtype called to make a structure": b"\x80\x03" + DTYPE + b"](X\x01\x00\x00\x00aX\x02\x00\x00\x00f8\x86e\x85R.",
    "an array without its bytes": array(b"J\x00\xca\x9a\x3b\x85", "f8", b"C\x01x"),
    "an array of huge sides": array(b"\x8a\x08" + U8(2**62) + b"\x8a\x08" + U8(2**62) + b"\x86", "f8", b"C\x00"),
    "an empty array of a huge side": array(b"K\x00\x8a\x08" + U8(2**62) + b"\x86", "f8", b"C\x00"),
    "a negative shape": array(b"J\xff\xff\xff\xff\x85", "f8", b"C\x08aaaaaaaa"),
    "a shape of truths": array(b"\x88\x85", "f8", b"C\x08aaaaaaaa"),
    "a shape that is no tuple": array(b"K\x01", "f8", b"C\x08aaaaaaaa"),
    "forty dimensions": array(b"(" + b"K\x01" * 40 + b"t", "f8", b"C\x08aaaaaaaa"),
    "a dtype of objects over bytes": array(b"K\x01\x85", "O", b"C\x08aaaaaaaa"),
    "objects that aren't there": array(b"J\x00\xca\x9a\x3b\x85", "O", b"]"),
    "a text dtype of a terabyte": array(b"K\x01\x85", "U999999999999", b"C\x00"),
    "a text dtype of nothing": array(b"J\x00\xca\x9a\x3b\x85", "S0", b"C\x00"),
    "a date": array(b"K\x01\x85", "M8[ns]", b"C\x08aaaaaaaa"),
    "a structure": array(b"K\x01\x85", "V8", b"C\x08aaaaaaaa"),
    "a dtype string that is code": array(b"K\x01\x85", "f8,(1000000000,)f8", b"C\x00"),
    "a shape of bytes of another type": array(b"K\x01\x85", "f8", text("aaaaaaaa")),
    "a subarray dtype": b"\x80\x03" + dtype("V8") + b".",
    "fields in a dtype's state": b"\x80\x03" + dtype("f8") + b"(K\x03" + text("<") + b"NK\x01\x85Nt" + b"b.",
    "a state for a list": b"\x80\x03]N\x86b.",
    "a state for a name": b"\x80\x03cnumpy\nndarray\n}b.",
    "an array built twice": b"\x80\x03" + EMPTY_ARRAY + (b"(K\x01K\x00\x85" + dtype("f8") + b"\x89C\x00tb") * 2 + b".",
    "bytes that are said to follow": b"\x80\x03B" + U4(2**32 - 1) + b"x.",
    "8 EB of bytes": b"\x80\x04\x8e" + U8(2**63) + b"x.",
    "a text that is said to follow": b"\x80\x03X" + U4(2**31) + b"x.",
    "a number of two billion bytes": b"\x80\x03\x8b" + U4(2**31 - 1) + b"x.",
    "a memo of four billion": b"\x80\x03Nr" + U4(2**32 - 1) + b"j" + U4(7) + b".",
    "lists in lists": b"\x80\x03" + b"]" * MANY + b"a" * (MANY - 1) + b".",
    "containers that stay open": b"\x80\x03" + b"(" * MANY + b"t" * MANY + b".",
    "endless steps": b"\x80\x03" + b"N0" * 10,
    "a bytearray": b"\x80\x05\x96" + U8(2**40) + b"x.",
    "a buffer from outside": b"\x80\x05\x97.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent id": b"\x80\x02K\x01Q.",
    "an empty stack": b"\x80\x03.",
    "an append to nothing": b"\x80\x03Na.",
    "an append to a tuple": b"\x80\x03)Na.",
    "an item of a list": b"\x80\x03]K\x01Ns.",
    "a dict with an odd end": b"\x80\x03}(Nu.",
    "a dict with a tuple for a key": b"\x80\x03})Ns.",
    "a mark that isn't there": b"\x80\x03t.",
    "takes from below its mark": b"\x80\x03N(\x85.",
    "protocol 0": b"I1\n.",
    "protocol 9": b"\x80\x09N.",
    "a name without an end": b"\x80\x03c" + b"a" * 5000,
    "a text that isn't UTF-8": b"\x80\x03X" + U4(2) + b"\xff\xfe.",
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused_at_once(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracemalloc.start()
    with pytest.raises(RefusedError) as refused:
        read(HOSTILE[name])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()
    assert not list(tmp_path.iterdir())


def test_the_45_bytes_that_ask_numpy_for_8_gb_do_so_with_the_usual_unpickler() -> None:
    """The test above is about the real thing: pickle would call numpy.ndarray."""
    names = [argument for _, argument, _ in pickletools.genops(HOSTILE["8 GB through an allowed name"]) if argument]
    assert "numpy ndarray" in names


def test_steps_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "MAX_STEPS", 1000)
    with pytest.raises(RefusedError, match="more than 1000 steps"):
        read(b"\x80\x03]" + b"Na" * 1000 + b".")


def test_a_structure_that_contains_itself_or_explodes_costs_nothing() -> None:
    itself = b"\x80\x03]q\x00h\x00a."
    assert read(itself)[0][0][0] is not None
    laughs = b"\x80\x03]q\x00" + b"".join(b"](" + b"h%c" % n * 10 + b"eq%c" % (n + 1) for n in range(60)) + b"."
    assert len(read(laughs)) == 10


def test_cut_anywhere_a_pickle_is_refused() -> None:
    data = pickle.dumps({"motion": [np.arange(5.0)], "name": "x", "n": 2**40}, 3)
    for end in range(len(data)):
        with pytest.raises(RefusedError):
            read(data[:end])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    refused = ""
    try:
        read(b"\x80\x03" + data)
    except RefusedError as error:
        refused = str(error)
    assert refused.isprintable()


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_both_header_versions_are_read(version: tuple[int, int]) -> None:
    whole = np.empty((), object)
    whole[()] = {"a": 1}
    file = io.BytesIO()
    np.lib.format.write_array(file, whole, version=version)
    data = memoryview(file.getvalue())
    assert plain(load_pickle(data[pickle_start(data) :])) == [{"a": 1}]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04" + bytes(100),
        b"\x93NUMPY\x03\x00" + bytes(100),
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        b"\x93NUMPY\x01\x00\x39\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n" + bytes(24),
        b"\x93NUMPY\x01\x00\x2c\x00{'descr': __import__('os').system('touch x')}\n.",
    ],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(RefusedError):
        pickle_start(memoryview(data))
