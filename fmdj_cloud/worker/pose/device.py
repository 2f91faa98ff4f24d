"""Where the network computes, in what precision, and on how many frames at once."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

import torch

from fmdj_cloud.contracts import Precision
from fmdj_cloud.errors import ConfigError, GpuError, MemoryExhaustedError
from fmdj_cloud.worker.pose.window import INPUT

_MIB = 1 << 20
_LARGEST = {"cpu": 2, "cuda": 256}
"""Frames beyond which a batch gains nothing; on a CPU it loses, as caches are too small (2: 10.4 frames a second and
core, 8: 9.6)."""
_SHARE = 0.6
"""Of the memory that is free: convolutions need room of their own."""


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
        return Device(torch.device("cpu"), cpu_name(), {})
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


def frame_bytes(channels: tuple[int, ...]) -> int:
    """Return what a frame needs while the network is at work, at the most that lives at one time."""
    sizes = [(INPUT >> level) ** 2 * count for level, count in enumerate(channels)]
    # All blocks' results wait for the way up; beside them each convolution has its input, its output and a copy
    return 4 * (sum(sizes) + 3 * max(sizes))


def fit_batch(per_frame: int, free: int, kind: str) -> int:
    """Return how many frames are computed at once.

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


def free_bytes(device: Device, memory_mib: int) -> int:
    """Return the memory that batches may fill.

    Parameters
    ----------
    device : Device
    memory_mib : int
        What the whole worker may use.
    """
    if device.torch.type == "cuda":
        return int(torch.cuda.mem_get_info(device.torch)[0])
    return max(0, memory_mib * _MIB - _resident_bytes())


def cpu_name() -> str:
    """Return the CPU's name as the manifest says it."""
    try:
        with Path("/proc/cpuinfo").open() as file:
            models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        models = []
    return f"cpu ({models[0] if models else platform.machine()})"


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
        "look at the GPU nodes' drivers, or set gpu to 0 in the pose profile."
    )
