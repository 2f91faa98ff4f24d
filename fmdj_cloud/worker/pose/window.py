"""What of a frame the network sees, and where its points lie in the frame: pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from fmdj_cloud.contracts import BBox
from fmdj_cloud.errors import InputError

INPUT = 256
"""Height and width of what Facemap's network takes."""


@dataclass(frozen=True)
class Window:
    """A box of the frame, in the middle of a square of zeros that is scaled to the network's input.

    Attributes
    ----------
    box : BBox
        Pixels of the frame.
    side : int
        Of the square, pixels of the frame.
    """

    box: BBox
    side: int

    @property
    def height(self) -> int:
        """Rows of the box."""
        return self.box.y1 - self.box.y0

    @property
    def width(self) -> int:
        """Columns of the box."""
        return self.box.x1 - self.box.x0

    @property
    def above(self) -> int:
        """Rows of zeros above the box."""
        return (self.side - self.height) // 2

    @property
    def left(self) -> int:
        """Columns of zeros left of the box."""
        return (self.side - self.width) // 2

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Zeros on the left, on the right, above and below, as torch pads pictures."""
        below = self.side - self.height - self.above
        return self.left, self.side - self.width - self.left, self.above, below

    @property
    def scale(self) -> float:
        """Pixels of the frame per pixel of the network's input."""
        return self.side / INPUT

    @property
    def origin(self) -> tuple[int, int]:
        """x and y in the frame of the square's corner."""
        return self.box.x0 - self.left, self.box.y0 - self.above


def window(height: int, width: int, box: BBox | None) -> Window:
    """Return the window of a view.

    Facemap centres a box by an even number of zeros on its shorter side, so the square is one pixel larger than
    its longer side where the two differ by an odd number.

    Parameters
    ----------
    height, width : int
        Of the frame.
    box : BBox or None
        None is the whole frame.
    """
    box = box or BBox(y0=0, y1=height, x0=0, x1=width)
    rows, columns = box.y1 - box.y0, box.x1 - box.x0
    longer = max(rows, columns)
    return Window(box, longer + (longer - min(rows, columns)) % 2)


def windows(boxes: tuple[BBox, ...], sizes: tuple[tuple[int, int], ...]) -> tuple[Window, ...]:
    """Return the windows of all views.

    Parameters
    ----------
    boxes : tuple of BBox
        One for every view, or none at all.
    sizes : tuple of (int, int)
        Height and width of every view.

    Raises
    ------
    InputError
        Check ``bbox``.
    """
    if boxes and len(boxes) != len(sizes):
        raise InputError(
            f"bbox holds {len(boxes)} boxes and the recording has {len(sizes)} view(s): give one for every view, or "
            "none.",
            check="bbox",
        )
    for view, (box, (height, width)) in enumerate(zip(boxes, sizes, strict=False)):
        if box.y1 > height or box.x1 > width:
            raise InputError(
                f"The bounding box of view {view}, {box}, lies outside of its frames of {height} rows and {width} "
                "columns: draw it on this video; rows come first in [y0, y1, x0, x1].",
                check="bbox",
            )
    return tuple(window(height, width, boxes[view] if boxes else None) for view, (height, width) in enumerate(sizes))
