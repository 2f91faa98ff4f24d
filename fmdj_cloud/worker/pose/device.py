"""Where the network computes, in what precision, and on how many frames at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fmdj_cloud.contracts import Precision
from fmdj_cloud.errors import ConfigError, GpuError, MemoryExhaustedError
from fmdj_cloud.worker.pose.window import INPUT, Window
from fmdj_cloud.worker.versions import processor

_MIB = 1 << 20
_LARGEST = {"cpu": 2, "cuda": 256}
"""Frames beyond which a batch gains nothing; on a CPU it loses, as caches are too small (2: 10.4 frames a second and
core, 8: 9.6)."""
_SHARE = 0.6
"""Of the memory that is free: convolutions need room of their own."""
_HELD = 6
"""Batches of frames that wait, are computed, or are being filled."""


@dataclass(frozen=True)
class Device:
    """A device that works.

    Attributes
    ----------
    torch : torch.device
    name : str
        As the manifest says it.
    versions : dict of str to str
        Of what drives it.
    """

    torch: torch.device
    name: str
    versions: dict[str, str]


def choose(gpus: int, precision: Precision) -> Device:
    """Return the device that a run was promised.

    Parameters
    ----------
    gpus : int
        Of the run's limits; 0 is the CPU, also where there is a GPU.
    precision : Precision

    Raises
    ------
    GpuError
        If a GPU was promised and can't compute: the CPU never takes its place.
    ConfigError
        If the device can't compute in this precision.
    """
    if gpus == 0:
        if precision is Precision.TF32:
            raise ConfigError("tf32 is a precision of GPUs: set worker.pose_precision to fp32 or bf16 for the CPU.")
        return Device(torch.device("cpu"), processor(), {})
    try:
        if not torch.cuda.is_available():
            raise _no_gpu(f"torch {torch.__version__} finds none")
        device = torch.device("cuda", torch.cuda.current_device())
        if float(torch.ones(8, device=device).sum()) != 8.0:
            raise _no_gpu("it adds wrongly")
        name = torch.cuda.get_device_name(device)
    except RuntimeError as error:
        raise _no_gpu(str(error).splitlines()[0]) from error
    return Device(device, f"cuda ({name})", {"cuda": str(torch.version.cuda), "driver": _driver()})


def set_precision(precision: Precision) -> None:
    """Let this process compute in a precision, and in nothing less, the same way every time."""
    torch.backends.cuda.matmul.allow_tf32 = precision is Precision.TF32
    torch.backends.cudnn.allow_tf32 = precision is Precision.TF32
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def frame_bytes(channels: tuple[int, ...], windows: Sequence[Window]) -> int:
    """Return what a frame needs on the device, at the most that lives at one time.

    That is while the network is at work, or, of large frames, before: while they are scaled to its input.

    Parameters
    ----------
    channels : tuple of int
        Of the network.
    windows : sequence of Window
        What of the frames is looked at.
    """
    sizes = [(INPUT >> level) ** 2 * count for level, count in enumerate(channels)]
    # All blocks' results wait for the way up; beside them each convolution has its input, its output and a copy
    network = 4 * (sum(sizes) + 3 * max(sizes))
    # The box in bytes and in single precision, and the square around it or the next step of the box
    return max(network, *(5 * seen.height * seen.width + 4 * seen.side**2 for seen in windows))


def batch_for(device: Device, per_frame: int, pixels: int, memory_mib: int) -> int:
    """Return how many frames are computed at once on a device.

    Parameters
    ----------
    device : Device
    per_frame : int
        Bytes on the device, as of :func:`frame_bytes`.
    pixels : int
        Of a frame, of which some batches are held in the host's memory.
    memory_mib : int
        What the whole worker may use of that.

    Raises
    ------
    MemoryExhaustedError
        If there is no room for a single frame.
    """
    host = max(0, memory_mib * _MIB - _resident_bytes())
    if device.torch.type == "cpu":
        return fit_batch(per_frame + _HELD * pixels, host, "cpu")
    batch = fit_batch(per_frame, int(torch.cuda.mem_get_info(device.torch)[0]), "cuda")
    while batch > 1 and batch * _HELD * pixels > host * _SHARE:
        batch //= 2
    return batch


def fit_batch(per_frame: int, free: int, kind: str) -> int:
    """Return how many frames are computed at once in a memory.

    Parameters
    ----------
    per_frame, free : int
        Bytes.
    kind : {"cpu", "cuda"}

    Raises
    ------
    MemoryExhaustedError
        If there is no room for a single frame.
    """
    fitting = int(free * _SHARE) // per_frame
    if fitting < 1:
        raise MemoryExhaustedError(
            f"The network needs {per_frame // _MIB} MiB for a frame and {free // _MIB} MiB are free: it is tried again "
            "with more."
        )
    batch = 1
    while 2 * batch <= min(fitting, _LARGEST[kind]):
        batch *= 2
    return batch


def _resident_bytes() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def _driver() -> str:
    try:
        return Path("/proc/driver/nvidia/version").read_text().split("Kernel Module")[1].split()[0]
    except (OSError, IndexError):
        return "unknown"


def _no_gpu(why: str) -> GpuError:
    return GpuError(
        f"The run was promised a GPU and it doesn't work here ({why}): it is tried on another machine; if none works, "
        "look at the GPU nodes' drivers, or set gpu to 0 in the pose profile (controller.pose_gpu on one machine)."
    )
