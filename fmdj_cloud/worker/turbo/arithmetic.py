"""Where the large products are computed: by BLAS, or on a GPU that the run was promised.

Gram matrices and projections are nearly all arithmetic of a run, so that is all that a GPU gets; decoding, binning and
eigenvectors stay on the processor. The CPU's path imports nothing of CUDA.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fmdj_cloud.worker.versions import processor

Array = npt.NDArray[Any]


class Arithmetic(Protocol):
    """What can multiply matrices of float32."""

    name: str
    """The device, for the manifest."""
    versions: dict[str, str]
    """Of what drives it."""

    def hold(self, matrix: Array) -> Any:
        """Return a matrix as :meth:`product` takes it quickest, again and again."""

    def gram(self, matrix: Array) -> Array:
        """Return the products of all rows of a matrix, (n, n); only the upper triangle is meant."""

    def product(self, left: Array, right: Any) -> Array:
        """Return the product of a matrix and one that is held, or isn't."""


class Blas:
    """The processor."""

    def __init__(self) -> None:
        self.name = processor()
        self.versions: dict[str, str] = {}

    def hold(self, matrix: Array) -> Array:
        """Return the matrix."""
        return matrix

    def gram(self, matrix: Array) -> Array:
        """Return the products of all rows; half of them are computed."""
        # numpy calls ssyrk for a matrix and its own transpose; scipy's wrapper of it would keep Python's lock
        return np.asarray(matrix @ matrix.T)

    def product(self, left: Array, right: Array) -> Array:
        """Return the product."""
        return np.asarray(left @ right)


class Torch:
    """A device of torch.

    Parameters
    ----------
    device : torch.device
    name : str
    versions : dict of str to str
    """

    def __init__(self, device: Any, name: str, versions: dict[str, str]) -> None:
        self._device = device
        self.name = name
        self.versions = versions

    def hold(self, matrix: Array) -> Any:
        """Return a copy on the device."""
        import torch

        return torch.from_numpy(np.array(matrix, np.float32)).to(self._device)

    def gram(self, matrix: Array) -> Array:
        """Return the products of all rows."""
        held = self.hold(matrix)
        return np.asarray((held @ held.T).cpu().numpy())

    def product(self, left: Array, right: Any) -> Array:
        """Return the product."""
        held = self.hold(right) if isinstance(right, np.ndarray) else right
        return np.asarray((self.hold(left) @ held).cpu().numpy())


def arithmetic_on(gpus: int) -> Arithmetic:
    """Return the arithmetic of the device that a run was promised.

    Parameters
    ----------
    gpus : int
        Of the run's limits.

    Raises
    ------
    GpuError
        If a GPU was promised and can't compute: the processor never takes its place.
    """
    if not gpus:
        return Blas()
    import torch  # loads CUDA

    from fmdj_cloud.contracts import Precision
    from fmdj_cloud.worker.pose.device import choose, set_precision

    device = choose(gpus, Precision.FP32)
    set_precision(Precision.FP32)
    return Torch(device.torch, device.name, {"torch": torch.__version__, **device.versions})
