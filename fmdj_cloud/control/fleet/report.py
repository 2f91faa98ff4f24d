"""How long and how much, in each of the ways there are: spot or not, cut or not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fmdj_cloud.contracts import Frozen
from fmdj_cloud.control.fleet.file import Fleet, NodeType, Sort
from fmdj_cloud.control.fleet.simulate import Batch, Places, Step, simulate
from fmdj_cloud.control.fleet.spot import Expected, expected
from fmdj_cloud.control.fleet.work import Stage, Work, can_be_cut, work_of
from fmdj_cloud.errors import ConfigError

Bound = Literal["computing", "launching", "loading"]


class SortLine(Frozen):
    """One recording of a sort, in one piece."""

    name: str
    number: int
    frames: int
    cpu_s: float
    """CPU time on a core of speed 1, seconds."""
    pod_s: float
    """Of its pod on the best node that there is, its start included, seconds."""
    memory_gib: float
    output_mib: float
    """That are loaded into the database."""


class Way(Frozen):
    """One way to compute all of it."""

    spot: bool
    shards: int
    """1 is in one piece."""
    hours: float
    """Until the last result is in the database."""
    compute_hours: float
    """Until the last pod has ended."""
    load_hours: float
    """That the loaders need, which work at the same time."""
    cost: float
    node_hours: float
    cpu_hours: float
    """CPU time that nodes spend, what is lost included, on cores of speed 1."""
    lost_hours: float
    """Of pods whose nodes were taken away: time that came to nothing."""
    nodes: int
    """That are there at a time, at most."""
    jobs: int
    bound: Bound
    """What would have to be quicker for all of it to be quicker."""


class FleetReport(Frozen):
    """All of ``fmdj plan --fleet``."""

    recordings: tuple[SortLine, ...]
    ways: tuple[Way, ...]
    output_gib: float
    notes: tuple[str, ...]


def plan_fleet(fleet: Fleet) -> FleetReport:
    """Return how long it takes and what it costs.

    Parameters
    ----------
    fleet : Fleet

    Raises
    ------
    ConfigError
        If no node takes a pod of a sort.
    """
    whole = [work_of(sort, fleet.pods) for sort in fleet.recordings]
    fits = _fits(fleet, whole)
    spots = [False]
    if any(node.spot_price_per_h is not None for node in fleet.nodes):
        spots.append(True)
    cuts = [1, fleet.shards] if fleet.shards > 1 and any(map(can_be_cut, fleet.recordings)) else [1]
    return FleetReport(
        recordings=tuple(
            _line(fleet, sort, work, allowed)
            for sort, work, allowed in zip(fleet.recordings, whole, fits.allowed, strict=True)
        ),
        ways=tuple(_way(fleet, fits, spot, shards) for shards in cuts for spot in spots),
        output_gib=_output_bytes(fleet, whole) / (1 << 30),
        notes=tuple(_notes(fleet)),
    )


@dataclass(frozen=True)
class _Fits:
    """Which pods go where: numbers of the node types that take each sort, and pods that a node of each type takes."""

    allowed: tuple[tuple[int, ...], ...]
    per_node: tuple[int, ...]


def _fits(fleet: Fleet, works: Sequence[Work]) -> _Fits:
    """Find places: pods without a GPU leave nodes with one alone, unless they fit no other."""
    allowed = []
    for sort, work in zip(fleet.recordings, works, strict=True):
        found = [n for n, node in enumerate(fleet.nodes) if _pods_per_node(node, fleet, work)]
        if not found:
            gpu = f", {work.gpu} GPU" if work.gpu else ""
            raise ConfigError(
                f"No node of the file takes a pod of {sort.name!r}: it needs {fleet.pods.cpu:g} cores{gpu} and "
                f"{work.memory_gib:.1f} GiB. Add larger nodes, or raise its sbin."
            )
        plain = [n for n in found if not fleet.nodes[n].gpu]
        chosen = plain if plain and not work.gpu else found
        allowed.append(tuple(sorted(chosen, key=lambda n: (-fleet.nodes[n].speed, fleet.nodes[n].price_per_h))))
    per_node = tuple(
        min((_pods_per_node(node, fleet, w) for w, a in zip(works, allowed, strict=True) if n in a), default=0)
        for n, node in enumerate(fleet.nodes)
    )
    return _Fits(tuple(allowed), per_node)


def _pods_per_node(node: NodeType, fleet: Fleet, work: Work) -> int:
    pods = min(node.cpu / fleet.pods.cpu, node.memory_gib / work.memory_gib)
    return int(min(pods, node.gpu / work.gpu) if work.gpu else pods)


def _pod_s(fleet: Fleet, work: Work, stage: Stage, node: NodeType) -> float:
    """Return how long a pod is there; what a GPU does has no second core to overlap with."""
    speedup = 1.0 if work.gpu else fleet.pods.speedup
    return fleet.pods.start_s + stage.wait_s + stage.cpu_s / (speedup * node.speed)


def _expected(fleet: Fleet, work: Work, stage: Stage, node: NodeType, spot: bool) -> Expected:
    seconds = _pod_s(fleet, work, stage, node)
    rate = fleet.spot.interruptions_per_h if spot and node.spot_price_per_h is not None else 0.0
    return expected(seconds, rate, fleet.spot.disruptions)


def _way(fleet: Fleet, fits: _Fits, spot: bool, shards: int) -> Way:
    works = [work_of(sort, fleet.pods, shards) for sort in fleet.recordings]
    batches = [
        Batch(
            sort.number,
            tuple(
                Step(stage.pods, tuple(_expected(fleet, work, stage, node, spot).total_s for node in fleet.nodes))
                for stage in work.stages
            ),
            allowed,
        )
        for sort, work, allowed in zip(fleet.recordings, works, fits.allowed, strict=True)
    ]
    places = [Places(node.number * pods, node.start_s) for node, pods in zip(fleet.nodes, fits.per_node, strict=True)]
    course = simulate(batches, places, fleet.pods.launches_per_s)
    load_s = _output_bytes(fleet, works) / (fleet.loaders.number * fleet.loaders.mib_per_s * (1 << 20))
    launch_s = course.launches / fleet.pods.launches_per_s
    bound: Bound = "computing"
    if load_s > course.seconds:
        bound = "loading"
    elif launch_s > 0.9 * course.seconds:
        bound = "launching"
    shares = _spot_shares(fleet, works, fits, spot)
    cost = node_hours = 0.0
    nodes = 0
    for node, pods, busy_s, peak, share in zip(
        fleet.nodes, fits.per_node, course.busy_s, course.peak, shares.on_spot, strict=True
    ):
        if not pods:
            continue
        used = min(node.number, -(-peak // pods))
        hours = (busy_s / pods + used * (node.start_s + node.keep_s)) / 3600
        spot_price = node.price_per_h if node.spot_price_per_h is None else node.spot_price_per_h
        cost += hours * (share * spot_price + (1 - share) * node.price_per_h)
        node_hours += hours
        nodes += used
    cpu_hours = sum(sort.number * work.cpu_s for sort, work in zip(fleet.recordings, works, strict=True)) / 3600
    return Way(
        spot=spot,
        shards=shards,
        hours=max(course.seconds, load_s) / 3600,
        compute_hours=course.seconds / 3600,
        load_hours=load_s / 3600,
        cost=cost,
        node_hours=node_hours,
        cpu_hours=cpu_hours * shares.growth,
        lost_hours=sum(course.busy_s) * shares.lost / 3600,
        nodes=nodes,
        jobs=course.launches,
        bound=bound,
    )


@dataclass(frozen=True)
class _Shares:
    """What interruptions change: the share of each type's time that is on spot nodes, and what is lost of all time."""

    on_spot: tuple[float, ...]
    lost: float

    @property
    def growth(self) -> float:
        """How much more is computed than without interruptions."""
        return 1 / (1 - self.lost) if self.lost < 1 else float("inf")


def _spot_shares(fleet: Fleet, works: Sequence[Work], fits: _Fits, spot: bool) -> _Shares:
    """Weigh by the time of all pods, as if each type took an equal share of every sort that it may."""
    on_spot = [0.0] * len(fleet.nodes)
    total = [0.0] * len(fleet.nodes)
    lost = 0.0
    for sort, work, allowed in zip(fleet.recordings, works, fits.allowed, strict=True):
        for n in allowed:
            for stage in work.stages:
                weight = sort.number * stage.pods / len(allowed)
                one = _expected(fleet, work, stage, fleet.nodes[n], spot)
                is_spot = spot and fleet.nodes[n].spot_price_per_h is not None
                on_spot[n] += weight * one.spot_s * is_spot
                total[n] += weight * one.total_s
                lost += weight * one.lost_s
    shares = tuple(a / b if b else 0.0 for a, b in zip(on_spot, total, strict=True))
    return _Shares(shares, lost / sum(total) if sum(total) else 0.0)


def _output_bytes(fleet: Fleet, works: Sequence[Work]) -> float:
    return sum(sort.number * work.output_bytes for sort, work in zip(fleet.recordings, works, strict=True))


def _line(fleet: Fleet, sort: Sort, work: Work, allowed: tuple[int, ...]) -> SortLine:
    return SortLine(
        name=sort.name,
        number=sort.number,
        frames=sort.frames,
        cpu_s=work.cpu_s,
        pod_s=_pod_s(fleet, work, work.stages[0], fleet.nodes[allowed[0]]),
        memory_gib=work.memory_gib,
        output_mib=work.output_bytes / (1 << 20),
    )


def _notes(fleet: Fleet) -> list[str]:
    whole = [sort.name for sort in fleet.recordings if not can_be_cut(sort)]
    notes = []
    if whole and fleet.shards > 1:
        notes.append(f"The engine facemap can't cut a recording: {', '.join(whole)} stay in one piece.")
    if any(node.spot_price_per_h is not None for node in fleet.nodes):
        notes.append("Interruptions are counted as they come on average; single runs may be unlucky.")
    return notes
