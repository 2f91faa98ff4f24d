"""What both halves of the reader need: numbers of the file, read only where its contents say that they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from fmdj_cloud.contracts import Origin
from fmdj_cloud.signals_h5.contents import Attributes, Contents, shown
from fmdj_cloud.signals_h5.layout import Array
from fmdj_cloud.signals_h5.vetting import malformed

_BROKEN = (ArithmeticError, LookupError, OSError, RuntimeError, TypeError, ValueError)
"""What h5py raises on files that are damaged."""


class Access:
    """An open file whose contents are known."""

    _path: Path
    _file: h5py.File
    _contents: Contents

    def _read(self, path: str, part: Any = ()) -> Array | None:
        """Return a dataset's numbers, or a part of them; None if it isn't there."""
        if path not in self._contents.shapes:
            return None
        try:
            found: Array = self._file[path][part]
        except _BROKEN as error:
            raise malformed(self._path, f"its {shown(path)} can't be read: {shown(error)}") from error
        return found

    def _needed(self, path: str, part: Any = ()) -> Array:
        """Return a dataset's numbers, or a part of them."""
        found = self._read(path, part)
        if found is None:
            raise malformed(self._path, f"it has no {shown(path)}")
        return found

    def _origin(self, attributes: Attributes) -> Origin:
        try:
            return Origin(attributes["origin"])
        except ValueError as error:
            raise malformed(self._path, f"an origin in it is {shown(attributes['origin'])}") from error
