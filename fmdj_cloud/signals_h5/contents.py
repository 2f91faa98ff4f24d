"""What a file claims to hold, looked at before any of it is believed; ``python contents.py FILE CPU_S`` does only that.

HDF5 is a small file system: links lead to other files, data may lie in other files, be made by plug-ins, or claim far
more numbers than there are bytes. Here only what the layout names is opened, through the links of the file itself;
every dataset must be plain numbers that lie in the file, all of them, uncompressed, as the writer leaves them. All
datasets together are never larger than the file: whoever reads them needs no more memory than that.

The HDF5 library itself can crash, or turn in circles, on bytes that it hasn't written. So this module needs nothing of
this package: :mod:`fmdj_cloud.signals_h5.vetting` runs it as a program, in a process with limits.
"""

from __future__ import annotations

import math
import os
import resource
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py

Attributes = Mapping[str, Any]
EXIT_MALFORMED = 3
"""Exit code of the program for a file that isn't laid out as documented; the clause is on its standard output."""
_MAX_NUMBER = 10_000
"""Of a region or view."""
_MAX_MEMBERS = 4096
"""Regions, or body parts of a view."""
_MAX_NAME = 255
_MAX_TEXT = 1 << 16
_MAX_EDGES = 4
_MAX_CHUNKS = 100_000
"""Of a dataset; the writer's have a thousandth of that."""
_LIMITS = {
    resource.RLIMIT_AS: 2 << 30,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_NOFILE: 32,
    resource.RLIMIT_NPROC: 0,
    resource.RLIMIT_CORE: 0,
}
"""Of the program, beside its time. The largest recordings take 0.3 s and 0.5 GB of address space: only descriptions
are read."""
_BROKEN = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What h5py raises on files that are damaged."""

_REGION: dict[str, tuple[str, tuple[int | None, ...]]] = {
    **dict.fromkeys(("yrange", "xrange", "yrange_bin", "xrange_bin"), ("<i8", (None,))),
    "motion": ("<f4", (None,)),
    **{
        f"{basis}/{name}": ("<f4", (None,) * dimensions)
        for basis in ("mot", "mov")
        for name, dimensions in (("masks", 3), ("projections", 2), ("singular_values", 1))
    },
    **dict.fromkeys(("pupil/area", "pupil/area_smooth"), ("<f8", (None,))),
    **dict.fromkeys(("pupil/com", "pupil/com_smooth", "pupil/axlen", "running/displacement"), ("<f8", (None, 2))),
    "pupil/axdir": ("<f8", (None, 2, 2)),
    "blink/trace": ("<f8", (None,)),
}
"""Datasets of a region: type, and shape as far as it is the same in every file."""
_POINTS = dict.fromkeys(("x", "y", "likelihood"), ("<f4", (None,)))
_SUMMARY = dict.fromkeys(("avgframe", "avgmotion"), ("<f4", (None, None)))
_ROOT_ATTRIBUTES = {"run_id": str, "nframes": int, "sbin": int, "fps": float}
_REGION_ATTRIBUTES = {"roi_no": int, "kind": str, "name": str, "view": int, "origin": str, "repairs": str, "note": str}
_POSE_ATTRIBUTES = {"view": int, "origin": str, "batch_size": int, "precision": str, "bbox": tuple, "note": str}
_TYPES = {"<i8": h5py.h5t.STD_I64LE, "<f4": h5py.h5t.IEEE_F32LE, "<f8": h5py.h5t.IEEE_F64LE}


class MalformedError(Exception):
    """A file isn't laid out as documented; the message is a clause like "its 'motion' is a link"."""


@dataclass
class Contents:
    """What a file holds.

    Attributes
    ----------
    root : Mapping
        Attributes of the file, of their documented types.
    regions, poses : dict
        Number of region or view -> attributes.
    parts : dict
        View -> body parts, by name.
    shapes : dict
        Path of every dataset -> its shape.
    """

    root: Attributes
    regions: dict[int, Attributes] = field(default_factory=dict)
    poses: dict[int, Attributes] = field(default_factory=dict)
    parts: dict[int, tuple[str, ...]] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)


def read_contents(file: h5py.File, size: int, *, expected: Attributes) -> Contents:
    """Look at everything that the layout names.

    Parameters
    ----------
    file : h5py.File
        Open for reading.
    size : int
        Bytes that it has.
    expected : Mapping
        Attributes of the root that say what kind of file it is, with the values that they must have.

    Raises
    ------
    MalformedError
        If something isn't as the layout says, or can't be read.
    """
    try:
        return _Look(file, size).all(expected)
    except _BROKEN as error:
        raise MalformedError(f"it is damaged ({shown(error)})") from error


def shown(value: object) -> str:
    """Return something a stranger wrote as a short text that can be printed."""
    text = str(value)
    return text[:80] if text.isprintable() else ascii(text)[:80]


class _Look:
    def __init__(self, file: h5py.File, size: int) -> None:
        self._file = file
        self._size = size
        self._total = 0
        self._shapes: dict[str, tuple[int, ...]] = {}

    def all(self, expected: Attributes) -> Contents:
        for name, value in expected.items():
            found = _attribute(self._file, name, type(value))
            if found != value:
                raise MalformedError(f"its {name} is {shown(found)}, not {value}")
        root = _attributes(self._file, _ROOT_ATTRIBUTES)
        if root["nframes"] < 0 or root["sbin"] < 1 or root["fps"] < 0:
            raise MalformedError(f"its nframes, sbin and fps are {root['nframes']}, {root['sbin']} and {root['fps']}")
        contents = Contents(root, shapes=self._shapes)
        if (summary := self._group(self._file, "summary")) is not None:
            self._datasets(summary, "summary", _SUMMARY)
        for number, group in self._numbered("regions"):
            contents.regions[number] = _attributes(group, _REGION_ATTRIBUTES)
            self._datasets(group, f"regions/{number}", _REGION)
        for number, group in self._numbered("pose"):
            contents.poses[number] = _attributes(group, _POSE_ATTRIBUTES)
            contents.parts[number] = tuple(sorted(_names(group)))
            for part in contents.parts[number]:
                where = f"pose/{number}/{part}"
                self._datasets(self._present(group, part, where), where, _POINTS)
        return contents

    def _numbered(self, name: str) -> Iterator[tuple[int, h5py.Group]]:
        """Yield the members of a group that are named by their numbers, in order."""
        parent = self._group(self._file, name)
        names = [] if parent is None else _names(parent)
        for member in names:
            if not (member.isascii() and member.isdecimal() and str(int(member)) == member):
                raise MalformedError(f"its {name} have the member {shown(member)}, which is no number")
        for number in sorted(map(int, names)):
            if number > _MAX_NUMBER:
                raise MalformedError(f"its {name} have the number {number}")
            yield number, self._present(parent, str(number), f"{name}/{number}")

    def _present(self, parent: h5py.Group, name: str, where: str) -> h5py.Group:
        """Return a group that its parent lists."""
        found = self._group(parent, name)
        if found is None:
            raise MalformedError(f"its {shown(where)} is listed and isn't there")
        return found

    def _group(self, parent: h5py.Group, name: str) -> h5py.Group | None:
        found = _member(parent, name)
        if found is not None and type(found) is not h5py.Group:
            raise MalformedError(f"its {shown(found.name)} is a {type(found).__name__}, not a group")
        return found

    def _datasets(self, group: h5py.Group, where: str, known: Mapping[str, tuple[str, Sequence[int | None]]]) -> None:
        for path, (kind, shape) in known.items():
            holder: h5py.Group | None = group
            *above, name = path.split("/")
            for step in above:
                holder = None if holder is None else self._group(holder, step)
            found = None if holder is None else _member(holder, name)
            if found is not None:
                self._shapes[f"{where}/{path}"] = self._dataset(found, f"{where}/{path}", kind, shape)

    def _dataset(self, found: Any, path: str, kind: str, shape: Sequence[int | None]) -> tuple[int, ...]:
        name = shown(path)
        if type(found) is not h5py.Dataset:
            raise MalformedError(f"its {name} is a {type(found).__name__}, not a dataset")
        made = found.id.get_create_plist()
        if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
            raise MalformedError(f"its {name} lies in another file")
        if made.get_nfilters():
            raise MalformedError(f"its {name} is compressed, which nothing in such a file is")
        if not found.id.get_type().equal(_TYPES[kind]):
            raise MalformedError(f"its {name} doesn't hold numbers of the type {kind}")
        sides = found.shape
        if sides is None or len(sides) != len(shape):
            raise MalformedError(f"its {name} has the shape {shown(sides)}")
        if any(side != wanted for side, wanted in zip(sides, shape, strict=True) if wanted is not None):
            raise MalformedError(f"its {name} has the shape {sides}")
        item = found.id.get_type().get_size()
        self._total += math.prod(sides) * item
        if self._total > self._size:
            raise MalformedError(f"it declares more than {self._total} bytes of numbers and has {self._size} bytes")
        _check_storage(found, made, name, item, self._size)
        return tuple(map(int, sides))


def _check_storage(dataset: h5py.Dataset, made: Any, name: str, item: int, size: int) -> None:
    """Refuse numbers that aren't all there: the library would make them up."""
    count = math.prod(dataset.shape)
    layout = made.get_layout()
    if count == 0 or layout == h5py.h5d.COMPACT:
        return
    if layout == h5py.h5d.CONTIGUOUS:
        start = dataset.id.get_offset()
        if start is None or start + count * item > size:
            raise MalformedError(f"its {name} isn't all there")
        return
    chunk = made.get_chunk()
    wanted = math.prod(-(-side // step) for side, step in zip(dataset.shape, chunk, strict=True))
    if wanted > _MAX_CHUNKS:
        raise MalformedError(f"its {name} is cut into {wanted} pieces")
    there = 0

    def look(info: Any) -> bool | None:
        nonlocal there
        there += 1
        inside = info.byte_offset is not None and info.byte_offset + info.size <= size
        whole = info.size == math.prod(chunk) * item and not info.filter_mask
        return None if inside and whole and there <= wanted else True

    stopped = dataset.id.chunk_iter(look)
    if stopped or there != wanted:
        raise MalformedError(f"its {name} isn't all there")


def _member(group: h5py.Group, name: str) -> Any:
    """Return what a group holds itself, whatever its links claim; None if there is nothing of that name."""
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if type(link) is not h5py.HardLink:
        raise MalformedError(f"its {shown(group.name.rstrip('/'))}/{shown(name)} is a link to somewhere else")
    return group[name]


def _names(group: h5py.Group) -> list[str]:
    if len(group) > _MAX_MEMBERS:
        raise MalformedError(f"its {shown(group.name)} has {len(group)} members")
    names = list(group)
    for name in names:
        text = isinstance(name, str)  # h5py gives the bytes of one that isn't UTF-8
        if not text or not name.isprintable() or len(name) > _MAX_NAME or "/" in name or name == ".":
            raise MalformedError(f"its {shown(group.name)} has a member with the name {shown(name)}")
    return names


def _attributes(holder: Any, known: Mapping[str, type]) -> dict[str, Any]:
    return {name: _attribute(holder, name, kind) for name, kind in known.items()}


def _attribute(holder: Any, name: str, kind: type) -> Any:
    """Return an attribute as Python's own type; nothing is read that isn't one text or number, or four edges."""
    if name not in holder.attrs:
        raise MalformedError(f"its {shown(holder.name)} doesn't say its {name}")
    found = h5py.h5a.open(holder.id, name.encode())
    shape, stored = found.shape, found.get_type()
    wrong = MalformedError(f"its {shown(holder.name)} says its {name} in another way than documented")
    if kind is str:
        short = stored.is_variable_str() or stored.get_size() <= _MAX_TEXT if _is(stored, h5py.h5t.TypeStringID) else 0
        if shape != () or not short:
            raise wrong
        text = holder.attrs[name]
        text = text.decode() if isinstance(text, bytes) else text
        if not isinstance(text, str) or len(text) > _MAX_TEXT or not text.isprintable():
            raise wrong
        return text
    if not _is(stored, h5py.h5t.TypeIntegerID) and not (kind is float and _is(stored, h5py.h5t.TypeFloatID)):
        raise wrong
    if kind is tuple:
        if len(shape) != 1 or shape[0] > _MAX_EDGES or stored.get_size() != 8:
            raise wrong
        return tuple(map(int, holder.attrs[name]))
    value = kind(holder.attrs[name]) if shape == () and stored.get_size() <= 8 else None
    if value is None or not math.isfinite(value):
        raise wrong
    return value


def _is(stored: Any, kind: type) -> bool:
    return type(stored) is kind


def main(path: str, cpu_s: str) -> int:
    """Look at a file; return the exit code, and write why it is refused to standard output."""
    for what, most in {**_LIMITS, resource.RLIMIT_CPU: int(cpu_s)}.items():
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))
    try:
        with h5py.File(path, "r") as file:
            read_contents(file, os.path.getsize(path), expected={})
    except MalformedError as error:
        sys.stdout.write(str(error))
        return EXIT_MALFORMED
    except _BROKEN as error:
        sys.stdout.write(f"it can't be read as HDF5 ({shown(error)})")
        return EXIT_MALFORMED
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
