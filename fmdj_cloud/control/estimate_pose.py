"""What a pose run is expected to need: pure formulas, from measurements (``benchmarks/pose.py``).

The network costs about 13 GFLOP a frame, whatever the frame's size: a core of the machines that it was measured on
does 10 frames a second. Like all estimates these err on the large side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fmdj_cloud.contracts import Estimate
from fmdj_cloud.control.estimate import MIB, Parts, ViewSize, capped, round_up
from fmdj_cloud.settings import ControllerSettings

_START_S = 30.0
"""Torch, Facemap and the model; packets of all files."""
_DOWNLOAD_BYTES_PER_S = 50e6
_NETWORK_CPU_S = 0.15
"""Per frame and thread; 0.10 to 0.11 was measured."""
_NETWORK_GPU_S = 0.005
"""Per frame. A guess on the large side for GPUs of the last ten years: 13 GFLOP are 2 ms at 6 TFLOP/s."""
_DECODE_S = 6e-9
"""Per pixel and frame, with its gray levels' 1st and 99th percentile; beside a GPU it is what bounds the run."""
_PROCESS_BYTES = 1.1e9
"""Torch, Facemap and the worker around them: 0.8 GB was measured, activations included."""
_CUDA_BYTES = 3e9
"""CUDA's libraries, and its context in the host's memory."""
_NETWORK_BYTES = 80 * MIB
"""Activations of Facemap's own network for a frame, with the room that its convolutions need."""
_SCALING_BYTES = 14
"""Per pixel of a frame while it is scaled to the network's input: large frames need more than the network."""
_BATCH_CPU, _BATCH_GPU = 2, 256
"""Frames that are computed at once at most."""
_BATCHES_HELD = 6
"""Batches of frames that wait, are computed, or are being filled."""
_POINT_BYTES = 12
"""x, y and likelihood of a body part in a frame."""
_COPIES = 5
"""Of all points: as they come in, joined, and written."""
_MODEL_COPIES = 4


def estimate_pose(
    views: Sequence[ViewSize],
    source: str,
    *,
    body_parts: int,
    video_bytes: int,
    model_bytes: int,
    gpu: int,
    threads: int,
    settings: ControllerSettings,
) -> tuple[Estimate, tuple[str, ...]]:
    """Return what a pose run is expected to need.

    Parameters
    ----------
    views : sequence of ViewSize
    source : str
        Where `views` is known from.
    body_parts : int
    video_bytes : int
        Of all files.
    model_bytes : int
    gpu : int
        GPUs that the run's profile gives; 0 is the CPU.
    threads : int
    settings : ControllerSettings
        For the caps.

    Returns
    -------
    estimate : Estimate
    notes : tuple of str
        Where the estimate lies above a cap.
    """
    frames = sum(view.frames for view in views)
    pixels = max(view.height * view.width for view in views)
    points = float(_POINT_BYTES * body_parts * frames)
    batch = _BATCH_GPU if gpu else _BATCH_CPU
    memory = (
        _PROCESS_BYTES
        + (_CUDA_BYTES if gpu else batch * max(_NETWORK_BYTES, _SCALING_BYTES * pixels))
        + _BATCHES_HELD * batch * pixels
        + _COPIES * points
        + _MODEL_COPIES * model_bytes
    )
    scratch = video_bytes + 3 * points + 2 * model_bytes + 1e9
    notes: list[str] = []
    return (
        Estimate(
            frames=max(view.frames for view in views),
            height=max(view.height for view in views),
            width=max(view.width for view in views),
            seconds=pose_parts(views, video_bytes=video_bytes + model_bytes, gpu=gpu, threads=threads).total,
            memory_mib=capped("memory", round_up(memory, 256), settings.memory_cap_mib, notes),
            scratch_mib=capped("scratch", round_up(scratch, 1024), settings.scratch_cap_mib, notes),
            source=source,
        ),
        tuple(notes),
    )


def pose_parts(views: Sequence[ViewSize], *, video_bytes: int, gpu: int, threads: int) -> Parts:
    """Return what the time of a pose run is made of.

    Parameters
    ----------
    views : sequence of ViewSize
    video_bytes : int
        Of all files, and the model.
    gpu, threads : int
    """
    return Parts(
        start=_START_S,
        download=video_bytes / _DOWNLOAD_BYTES_PER_S,
        basis=0.0,
        frames=sum(view.frames * _frame_s(view.height * view.width, gpu, threads) for view in views),
    )


def _frame_s(pixels: int, gpu: int, threads: int) -> float:
    """Return seconds per frame: decoding has a thread of its own, and takes the network's cores where that has one."""
    decode = pixels * _DECODE_S
    if gpu:
        return max(decode, _NETWORK_GPU_S)
    return _NETWORK_CPU_S / math.sqrt(threads) + decode
