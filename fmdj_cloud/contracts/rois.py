"""Regions of interest."""

from __future__ import annotations

import base64
import enum
import zlib
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from fmdj_cloud.contracts.base import Frozen


class RoiKind(enum.StrEnum):
    """Facemap's ROI types; :attr:`rind` is the code Facemap keys on."""

    PUPIL = "pupil"
    MOTION_SVD = "motion SVD"
    BLINK = "blink"
    RUNNING = "running"

    @property
    def rind(self) -> int:
        """Facemap's integer code (0 pupil, 1 motion SVD, 2 blink, 3 running)."""
        return _RIND.index(self)

    @classmethod
    def from_rind(cls, rind: int) -> RoiKind:
        """Return the type that Facemap's integer code stands for.

        Raises
        ------
        ValueError
            If `rind` isn't 0, 1, 2 or 3.
        """
        if rind not in range(4):
            raise ValueError(f"{rind} is not a ROI type of Facemap (0 pupil, 1 motion SVD, 2 blink, 3 running)")
        return _RIND[rind]


_RIND = (RoiKind.PUPIL, RoiKind.MOTION_SVD, RoiKind.BLINK, RoiKind.RUNNING)


class BitMask(Frozen):
    """A boolean (height, width) array, packed for JSON."""

    height: Annotated[int, Field(gt=0, le=1 << 15)]
    width: Annotated[int, Field(gt=0, le=1 << 15)]
    packed: str
    """Base64 of the zlib-compressed, bit-packed, C-ordered array."""

    @classmethod
    def from_array(cls, mask: npt.NDArray[np.bool_]) -> BitMask:
        """Pack a boolean (height, width) array."""
        bits = np.packbits(np.ascontiguousarray(mask, dtype=bool))
        return cls(
            height=mask.shape[0],
            width=mask.shape[1],
            packed=base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode("ascii"),
        )

    def to_array(self) -> npt.NDArray[np.bool_]:
        """Return the boolean (height, width) array.

        Raises
        ------
        ValueError
            If the packed bytes don't hold exactly height x width bits.
        """
        expected = (self.height * self.width + 7) // 8
        inflater = zlib.decompressobj()
        raw = inflater.decompress(base64.b64decode(self.packed), expected)
        if len(raw) != expected or inflater.unconsumed_tail:
            raise ValueError(f"the packed mask doesn't hold {self.height} x {self.width} bits")
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), count=self.height * self.width)
        return bits.reshape(self.height, self.width).astype(bool)


class Reflector(Frozen):
    """A corneal reflection inside a pupil ROI: pixels that the pupil fit ignores and fills in."""

    y0: int
    y1: int
    x0: int
    x1: int
    ellipse: BitMask


class Roi(Frozen):
    """A region of interest, in unbinned pixels of one view; ``y0:y1, x0:x1`` is half-open."""

    kind: RoiKind
    view: Annotated[int, Field(ge=0)] = 0
    y0: Annotated[int, Field(ge=0)]
    y1: int
    x0: Annotated[int, Field(ge=0)]
    x1: int
    saturation: float | None = None
    """Gray level above which a pupil or blink ROI ignores pixels."""
    pupil_sigma: float | None = None
    """Standard deviations of the pupil's Gaussian that its area covers."""
    ellipse: BitMask | None = None
    reflectors: tuple[Reflector, ...] = ()
    color: tuple[float, float, float] | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Roi:
        if self.y1 <= self.y0 or self.x1 <= self.x0:
            raise ValueError(f"the {self.kind} ROI y {self.y0}:{self.y1}, x {self.x0}:{self.x1} is empty")
        return self
