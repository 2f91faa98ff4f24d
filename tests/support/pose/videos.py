"""Small videos in which every frame is another one: gray or colour, also damaged."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np


def pictures(frames: int, height: int, width: int, seed: int = 0, color: bool = False) -> np.ndarray:
    """Return smooth blobs that drift, (frames, height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(128, 55, (frames + 8, 12, 16, 3 if color else 1))
    smooth = sum(coarse[k : k + frames] for k in range(8)) / 8 * 2.2 - 150
    blobs = np.stack([cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC) for image in smooth])
    return np.broadcast_to(
        np.clip(blobs.reshape(frames, height, width, -1), 0, 255), (frames, height, width, 3)
    ).astype(np.uint8)


def write(path: Path, images: np.ndarray, *, gop: int = 6, rate: int = 30) -> Path:
    """Write pictures as mjpeg (.avi) or h264 (.mp4)."""
    mjpeg = path.suffix == ".avi"
    with av.open(str(path), "w", options={} if mjpeg else {"movflags": "+faststart"}) as container:
        stream = container.add_stream("mjpeg" if mjpeg else "libx264", rate=Fraction(rate))
        stream.height, stream.width = images.shape[1:3]
        stream.pix_fmt = "yuvj420p" if mjpeg else "yuv420p"
        stream.codec_context.thread_count = 1
        if mjpeg:
            stream.codec_context.qmin = stream.codec_context.qmax = 2
        else:
            stream.codec_context.options = {"crf": "12", "g": str(gop), "bf": "2", "b_strategy": "0"}
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")))
        container.mux(stream.encode(None))
    return path


def damage(path: Path, out: Path, *packets: int) -> Path:
    """Write a copy in which the bytes of some packets are zero."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(container.streams.video[0]) if p.size]
    data = bytearray(path.read_bytes())
    for number in packets:
        pos, size = places[number]
        data[pos + 8 : pos + size] = bytes(size - 8)
    out.write_bytes(data)
    return out


def decode(path: Path) -> np.ndarray:
    """Return the gray frames that OpenCV, and so Facemap, reads."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2GRAY))
    capture.release()
    return np.array(frames)
