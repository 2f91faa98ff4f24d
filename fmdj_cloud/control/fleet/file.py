"""The file that says what is computed and where: what a person edits, checked."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from fmdj_cloud.contracts import SHARDS_MAX, Engine, Frozen, Kind
from fmdj_cloud.errors import ConfigError

_MANY = 100
_MAX_BYTES = 1 << 20
Count = Annotated[int, Field(ge=0, le=100)]


class RoiCounts(Frozen):
    """How many ROIs of each type a recording has."""

    motion: Count = 0
    pupil: Count = 0
    blink: Count = 0
    running: Count = 0


class Sort(Frozen):
    """Recordings that are alike."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    number: Annotated[int, Field(ge=1, le=100_000_000)]
    kind: Literal[Kind.SVD, Kind.POSE] = Kind.SVD
    engine: Engine = Engine.TURBO
    minutes: Annotated[float, Field(gt=0, le=1e6)]
    fps: Annotated[float, Field(gt=0, le=10_000)] = 30.0
    width: Annotated[int, Field(ge=16, le=1 << 15)] = 640
    height: Annotated[int, Field(ge=16, le=1 << 15)] = 480
    views: Annotated[int, Field(ge=1, le=64)] = 1
    gib: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    sbin: Annotated[int, Field(ge=1, le=1024)] = 4
    mov_svd: bool = False
    rois: RoiCounts = RoiCounts()
    body_parts: Annotated[int, Field(ge=1, le=1000)] = 15

    @property
    def frames(self) -> int:
        """Frames of one recording, at least one."""
        return max(1, round(60 * self.minutes * self.fps))


class NodeType(Frozen):
    """Machines that are alike."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    number: Annotated[int, Field(ge=1, le=1_000_000)]
    cpu: Annotated[float, Field(gt=0, le=4096)]
    memory_gib: Annotated[float, Field(gt=0, le=65536)]
    gpu: Annotated[int, Field(ge=0, le=64)] = 0
    speed: Annotated[float, Field(gt=0, le=100)] = 1.0
    price_per_h: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    spot_price_per_h: Annotated[float, Field(ge=0, le=1e6)] | None = None
    start_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    keep_s: Annotated[float, Field(ge=0, le=86400)] = 0.0


class Pods(Frozen):
    """What every pod asks for, and how it begins."""

    cpu: Annotated[float, Field(gt=0, le=1024)] = 2.0
    gpu: Annotated[int, Field(ge=0, le=1)] = 0
    speedup: Annotated[float, Field(ge=1, le=1024)] = 1.4
    start_s: Annotated[float, Field(ge=0, le=86400)] = 20.0
    launches_per_s: Annotated[float, Field(gt=0, le=10_000)] = 10.0

    @model_validator(mode="after")
    def _possible(self) -> Pods:
        if self.speedup > max(1.0, self.cpu):
            raise ValueError(f"speedup={self.speedup} is more than the {self.cpu:g} cores of a pod")
        return self


class Spot(Frozen):
    """How often nodes are taken away."""

    interruptions_per_h: Annotated[float, Field(ge=0, le=1000)] = 0.05
    disruptions: Annotated[int, Field(ge=0, le=50)] = 3


class Loaders(Frozen):
    """Who puts results into the database."""

    number: Annotated[int, Field(ge=1, le=1000)] = 1
    mib_per_s: Annotated[float, Field(gt=0, le=1e5)] = 50.0


class Fleet(Frozen):
    """The whole file."""

    recordings: Annotated[tuple[Sort, ...], Field(min_length=1, max_length=_MANY)]
    nodes: Annotated[tuple[NodeType, ...], Field(min_length=1, max_length=_MANY)]
    pods: Pods = Pods()
    spot: Spot = Spot()
    shards: Annotated[int, Field(ge=1, le=SHARDS_MAX)] = 8
    loaders: Loaders = Loaders()

    @model_validator(mode="after")
    def _distinct(self) -> Fleet:
        for what, names in (("recordings", [s.name for s in self.recordings]), ("nodes", [n.name for n in self.nodes])):
            if len(set(names)) < len(names):
                raise ValueError(f"two entries of {what} have the same name")
        return self


def example() -> str:
    """Return a file with comments, to begin with."""
    return resources.files(__package__).joinpath("example.yaml").read_text("utf-8")


def read_fleet(path: Path) -> Fleet:
    """Read a file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ConfigError
        If it can't be read, or says something impossible; the sentence names each place.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ConfigError(f"{path} is larger than {_MAX_BYTES >> 20} MiB: that can't be a file of --fleet.")
        told = yaml.safe_load(data)
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read ({error.strerror or error}): `fmdj plan --fleet-example` prints one to begin with."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML ({' '.join(str(error).split())}): correct it.") from error
    try:
        return Fleet.model_validate(told)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise ConfigError(f"{path} is wrong: {problems}.") from error
