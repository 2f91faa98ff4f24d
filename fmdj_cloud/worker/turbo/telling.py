"""How many frames are done, told to whoever waits."""

from __future__ import annotations

from collections.abc import Callable

from fmdj_cloud.worker.progress import Teller, Where


class Telling:
    """Frames so far: those read for the basis, and those projected.

    Parameters
    ----------
    teller : Teller
    total : int
        Frames in all.
    """

    def __init__(self, teller: Teller, total: int) -> None:
        self._teller = teller
        self._total = total
        self._done = 0

    def of(self, stage: str) -> Callable[[int], None]:
        """Begin a stage, and return what counts its frames."""
        self._teller.tell(Where(stage, self._done, self._total))

        def add(frames: int) -> None:
            self._done = min(self._total, self._done + frames)
            self._teller.tell(Where(stage, self._done, self._total))

        return add
