"""What the programs count and measure, in Prometheus' terms: one registry of our own, names with their units.

Everybody may count here: this module imports nothing of ours. Counting costs about a microsecond, whether anybody
reads it or not; ``fmdj_cloud.serve`` shows it to those who ask.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import NamedTuple, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

REGISTRY = CollectorRegistry()
"""Ours alone: what libraries register with the client's own registry isn't shown."""


class Described(NamedTuple):
    """A metric as the documentation shows it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    what: str


DESCRIBED: list[Described] = []
"""Every metric, in the order of the documentation."""

_METRIC = TypeVar("_METRIC", bound=MetricWrapperBase)
_KEY = TypeVar("_KEY", bound=tuple[str, str, str])
_REQUEST_S = (0.005, 0.025, 0.1, 0.25, 1.0, 2.5, 5.0, 15.0)
_PASS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_TRANSACTION_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_ATTEMPT_S = (30.0, 60.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0, 28800.0, 86400.0)


def _described(metric: _METRIC, suffix: str, labels: Iterable[str]) -> _METRIC:
    (family,) = metric.describe()
    DESCRIBED.append(Described(f"{family.name}{suffix}", family.type, tuple(labels), family.documentation))
    return metric


def _gauge(name: str, what: str, *labels: str) -> Gauge:
    return _described(Gauge(name, what, labels, registry=REGISTRY), "", labels)


def _counter(name: str, what: str, *labels: str) -> Counter:
    return _described(Counter(name, what, labels, registry=REGISTRY), "_total", labels)


def _histogram(name: str, what: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return _described(Histogram(name, what, labels, registry=REGISTRY, buckets=buckets), "", labels)


RUNS = _gauge("fmdj_runs", "Runs by state, from the controller that leads.", "state", "kind", "pipeline")
QUEUE_AGE = _gauge(
    "fmdj_queue_age_seconds", "Time that the oldest run that could start has waited; 0 if none waits.", "pipeline"
)
TASKS_PENDING = _gauge("fmdj_tasks_pending", "Tasks that wait to be planned.", "pipeline")
BRAKED = _gauge(
    "fmdj_pipeline_braked", "1 while the first-start brake holds a pipeline until `fmdj release`.", "pipeline"
)
LAUNCHES = _counter("fmdj_launches", "Attempts launched.", "kind", "pipeline")
OUTCOMES = _counter(
    "fmdj_outcomes", "Attempts that ended, by failure class; `published` for a success.", "class", "kind", "pipeline"
)
ATTEMPT_SECONDS = _histogram(
    "fmdj_attempt_seconds", "Time from launch to end of an attempt, waiting for a node included.", _ATTEMPT_S, "kind"
)
GPU_SECONDS = _counter("fmdj_gpu_seconds", "GPUs of ended attempts x their time on a node.", "kind", "pipeline")
STAGES = _counter(
    "fmdj_stages", "Stages of sharded attempts that were finished, and another followed.", "stage", "kind", "pipeline"
)
RECONCILE_SECONDS = _histogram("fmdj_reconcile_seconds", "Time of a pass of the controller.", _PASS_S)
PASS_ERRORS = _gauge("fmdj_pass_errors", "What went wrong in the last pass and is tried again.")
LEADER = _gauge("fmdj_leader", "1 while this controller leads.")
JOBS_UNKNOWN = _gauge("fmdj_jobs_unknown", "Jobs of this installation whose runs the ledger doesn't know.")
PODS_LEAKED = _gauge("fmdj_pods_leaked", "Pods that never end, since their nodes are dead.")
API_REQUESTS = _counter(
    "fmdj_api_requests", "Requests to the Kubernetes API; code 0 is no answer.", "verb", "resource", "code"
)
API_SECONDS = _histogram(
    "fmdj_api_request_seconds", "Time to the answer of a request to the Kubernetes API.", _REQUEST_S, "verb"
)
CACHE_AGE = _gauge("fmdj_cache_age_seconds", "Time since Kubernetes last answered what the cache asks it, the slowest.")
LOADS = _counter("fmdj_loads", "Tries to load a run, by how they ended.", "end", "pipeline")
QUALITY = _counter(
    "fmdj_quality_findings",
    "What quality control flagged (warn), or kept from being loaded (fail).",
    *("check", "verdict", "pipeline"),
)
LOADER_ROWS = _counter("fmdj_loader_rows", "Rows committed by the loader.", "table", "pipeline")
LOADER_BYTES = _counter("fmdj_loader_bytes", "Bytes of signals.h5 whose rows were committed.", "pipeline")
TRANSACTION_SECONDS = _histogram(
    "fmdj_transaction_seconds", "Time of a loader's transaction, committed or not.", _TRANSACTION_S, "pipeline"
)
BUILD = _described(Info("fmdj_build", "Version of this program and of its Python.", registry=REGISTRY), "_info", ())

BUILD.info({"version": version("fmdj-cloud"), "python": platform.python_version()})
ProcessCollector(registry=REGISTRY)

_shown_runs: set[tuple[str, str, str]] = set()


def show_runs(counts: Mapping[_KEY, int]) -> None:
    """Show how many runs there are.

    Parameters
    ----------
    counts : mapping
        (pipeline, kind, state) -> runs, as :meth:`fmdj_cloud.pipeline.ledger.Ledger.count_runs` tells. What was
        shown before and isn't in it becomes 0: a series that just ends looks like a program that is gone.
    """
    now = {(pipeline, str(kind), str(state)): runs for (pipeline, kind, state), runs in counts.items()}
    _shown_runs.update(now)
    for pipeline, kind, state in _shown_runs:
        RUNS.labels(state, kind, pipeline).set(now.get((pipeline, kind, state), 0))


def show_leadership(leading: bool) -> None:
    """Show whether this controller leads; one that doesn't shows nothing that only the leader knows."""
    LEADER.set(int(leading))
    if not leading:
        _shown_runs.clear()
        for metric in (RUNS, QUEUE_AGE, TASKS_PENDING, BRAKED):
            metric.clear()
        for metric in (JOBS_UNKNOWN, PODS_LEAKED, PASS_ERRORS):
            metric.set(0)
