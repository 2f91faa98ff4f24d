"""A reader of pickles that can do nothing but build what Facemap saves.

Python's own unpickler imports and calls what a pickle names. This one knows the opcodes that plain
containers, numbers, texts and numpy arrays are made of, and no others; names stand for the constructors of
:mod:`fmdj_cloud.worker.importing.numpy_values`. Whatever the bytes, it ends after at most
:data:`MAX_STEPS` steps, each of which makes at most one small object: long contents are views of the file.
Nothing is followed in depth, so that neither nesting nor a structure that contains itself costs anything.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from fmdj_cloud.worker.importing.numpy_values import Dtype, Known, PickledArray, call, find
from fmdj_cloud.worker.importing.refusal import RefusedError, shown

MAX_STEPS = 2_000_000
"""Facemap's files take a few thousand."""
_MAX_STACK = 200_000
_MAX_MARKS = 100
"""Open containers: Facemap's have four."""
_MAX_TEXT = 1 << 16
_MAX_LINE = 256
_PROTOCOLS = (2, 3, 4, 5)


def load_pickle(data: memoryview) -> Any:
    """Return what a pickle holds.

    Parameters
    ----------
    data : memoryview
        What follows the pickle's end is ignored.

    Returns
    -------
    object
        Made of dict, list, tuple, str, memoryview (for bytes), int, float, bool, None and
        :class:`~fmdj_cloud.worker.importing.numpy_values.PickledArray`.

    Raises
    ------
    RefusedError
        If it is cut off, or does anything that a Facemap output doesn't.
    """
    return _Machine(data).run()


class _Machine:
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        for _ in range(MAX_STEPS):
            opcode = self._take(1)[0]
            if opcode == _STOP:
                return self._pop()
            step = _STEPS.get(opcode)
            if step is None:
                raise RefusedError(f"its pickle has the opcode {shown(bytes([opcode]))}, which no Facemap output has")
            step(self)
            if len(self._stack) > _MAX_STACK or len(self._marks) > _MAX_MARKS:
                raise RefusedError("its pickle is nested far deeper than a Facemap output")
        raise RefusedError(f"its pickle takes more than {MAX_STEPS} steps, far more than a Facemap output")

    # Bytes

    def _take(self, count: int) -> memoryview:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise RefusedError("it ends in the middle: it was cut off, or not uploaded whole")
        return self._data[start : self._at]

    def _number(self, count: int) -> int:
        return int.from_bytes(self._take(count), "little")

    def _line(self) -> str:
        end = bytes(self._data[self._at : self._at + _MAX_LINE]).find(b"\n")
        if end < 0:
            raise RefusedError("its pickle has a name without an end")
        try:
            return bytes(self._take(end + 1)[:-1]).decode("ascii")
        except UnicodeDecodeError:
            raise RefusedError("its pickle has a name that isn't ASCII") from None

    # The stack

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise RefusedError("its pickle takes what it hasn't put there")
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        if not self._marks:
            raise RefusedError("its pickle closes what it hasn't opened")
        start = self._marks.pop()
        taken = self._stack[start:]
        del self._stack[start:]
        return taken

    # Steps

    def protocol(self) -> None:
        version = self._number(1)
        if version not in _PROTOCOLS:
            raise RefusedError(f"its pickle has protocol {version}")

    def frame(self) -> None:
        self._take(8)

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def float(self) -> None:
        self._push(struct.unpack(">d", self._take(8))[0])

    def integer(self) -> None:
        self._push(int.from_bytes(self._take(4), "little", signed=True))

    def long(self) -> None:
        self._push(int.from_bytes(self._take(self._number(1)), "little", signed=True))

    def text(self, width: int) -> None:
        length = self._number(width)
        if length > _MAX_TEXT:
            raise RefusedError(f"its pickle declares a text of {length} bytes")
        try:
            self._push(str(self._take(length), "utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            raise RefusedError("its pickle has a text that isn't UTF-8") from None

    def bytes(self, width: int) -> None:
        self._push(self._take(self._number(width)))

    def tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self._push((*reversed(values),))

    def open_tuple(self) -> None:
        self._push((*self._pop_mark(),))

    def append(self) -> None:
        self._extend([self._pop()])

    def appends(self) -> None:
        self._extend(self._pop_mark())

    def _extend(self, values: list[Any]) -> None:
        target = self._pop()
        if type(target) is not list:
            raise RefusedError("its pickle appends to what isn't a list")
        target.extend(values)
        self._push(target)

    def set_item(self) -> None:
        value = self._pop()
        self._update([self._pop(), value])

    def set_items(self) -> None:
        self._update(self._pop_mark())

    def _update(self, pairs: list[Any]) -> None:
        target = self._pop()
        if type(target) is not dict or len(pairs) % 2:
            raise RefusedError("its pickle sets an item of what isn't a dict")
        for name, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(name, str | int):  # anything deeper would be walked to be hashed
                raise RefusedError(f"its pickle has a dict with the key {shown(name)}")
            target[name] = value
        self._push(target)

    def put(self, width: int) -> None:
        self._memo[self._number(width)] = self._top()

    def memoize(self) -> None:
        self._memo[len(self._memo)] = self._top()

    def _top(self) -> Any:
        value = self._pop()
        self._push(value)
        return value

    def get(self, width: int) -> None:
        number = self._number(width)
        if number not in self._memo:
            raise RefusedError("its pickle takes what it hasn't put there")
        self._push(self._memo[number])

    def name(self) -> None:
        module = self._line()
        self._push(find(module, self._line()))

    def stack_name(self) -> None:
        name = self._pop()
        self._push(find(self._pop(), name))

    def call(self) -> None:
        arguments = self._pop()
        self._push(call(self._pop(), arguments))

    def build(self) -> None:
        state = self._pop()
        target = self._top()
        if not isinstance(target, Dtype | PickledArray):
            what = target.value if isinstance(target, Known) else f"a {type(target).__name__}"
            raise RefusedError(f"its pickle sets the state of {what}, which no Facemap output does")
        target.build(state)


_STOP = pickle.STOP[0]
_STEPS: dict[int, Callable[[_Machine], None]] = {
    code[0]: step
    for code, step in {
        pickle.PROTO: _Machine.protocol,
        pickle.FRAME: _Machine.frame,
        pickle.MARK: _Machine.mark,
        pickle.NONE: lambda machine: machine._push(None),
        pickle.NEWTRUE: lambda machine: machine._push(True),
        pickle.NEWFALSE: lambda machine: machine._push(False),
        pickle.BININT: _Machine.integer,
        pickle.BININT1: lambda machine: machine._push(machine._number(1)),
        pickle.BININT2: lambda machine: machine._push(machine._number(2)),
        pickle.LONG1: _Machine.long,
        pickle.BINFLOAT: _Machine.float,
        pickle.SHORT_BINUNICODE: lambda machine: machine.text(1),
        pickle.BINUNICODE: lambda machine: machine.text(4),
        pickle.BINUNICODE8: lambda machine: machine.text(8),
        pickle.SHORT_BINBYTES: lambda machine: machine.bytes(1),
        pickle.BINBYTES: lambda machine: machine.bytes(4),
        pickle.BINBYTES8: lambda machine: machine.bytes(8),
        pickle.EMPTY_TUPLE: lambda machine: machine.tuple(0),
        pickle.TUPLE1: lambda machine: machine.tuple(1),
        pickle.TUPLE2: lambda machine: machine.tuple(2),
        pickle.TUPLE3: lambda machine: machine.tuple(3),
        pickle.TUPLE: _Machine.open_tuple,
        pickle.EMPTY_LIST: lambda machine: machine._push([]),
        pickle.APPEND: _Machine.append,
        pickle.APPENDS: _Machine.appends,
        pickle.EMPTY_DICT: lambda machine: machine._push({}),
        pickle.SETITEM: _Machine.set_item,
        pickle.SETITEMS: _Machine.set_items,
        pickle.BINPUT: lambda machine: machine.put(1),
        pickle.LONG_BINPUT: lambda machine: machine.put(4),
        pickle.MEMOIZE: _Machine.memoize,
        pickle.BINGET: lambda machine: machine.get(1),
        pickle.LONG_BINGET: lambda machine: machine.get(4),
        pickle.GLOBAL: _Machine.name,
        pickle.STACK_GLOBAL: _Machine.stack_name,
        pickle.REDUCE: _Machine.call,
        pickle.BUILD: _Machine.build,
    }.items()
}
