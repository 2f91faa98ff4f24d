"""A typical request, its settings and its Job."""

from __future__ import annotations

from typing import Any

from fmdj_cloud.contracts import JobRequest, Kind, Limits
from fmdj_cloud.control.launchers.kubernetes.manifest import build_job
from fmdj_cloud.settings import KubernetesSettings, ProfileSettings, Settings

LIMITS = Limits(time_budget_s=21600, memory_mib=3000, scratch_mib=20000, threads=1)


def request(kind: Kind = Kind.SVD, **changes: Any) -> JobRequest:
    """Return the request of the first attempt of a run of recording 7."""
    run_id = f"{kind.value}-0123456789abcdef"
    fields: dict[str, Any] = {
        "name": f"fmdj-{run_id}-a1",
        "run_id": run_id,
        "attempt": 1,
        "kind": kind,
        "spec_uri": f"s3://lab/processed/m1/facemap_0/{run_id}/a1/spec.json",
        "spec_sha256": "5" * 64,
        "limits": LIMITS,
        "pipeline": "lab",
        "task": '{"recording_id":7,"subject":"m1"}',
    }
    return JobRequest(**{**fields, **changes})


def settings(
    *, profile: dict[str, Any] | None = None, kubernetes: dict[str, Any] | None = None, **rest: Any
) -> Settings:
    """Return settings with one profile, `default`, that has an image."""
    fields = {"profiles": {"default": ProfileSettings(**{"image": "ghcr.io/lab/worker:1", **(profile or {})})}}
    return Settings(kubernetes=KubernetesSettings(**{**fields, **(kubernetes or {})}), **rest)


def job(of: JobRequest | None = None, **of_settings: Any) -> dict[str, Any]:
    """Return the Job of a request, by settings as :func:`settings` takes them."""
    return build_job(of or request(), settings(**of_settings), instance="fmdj")


def pod(of: JobRequest | None = None, **of_settings: Any) -> dict[str, Any]:
    """Return the PodSpec of such a Job."""
    spec: dict[str, Any] = job(of, **of_settings)["spec"]["template"]["spec"]
    return spec


def worker(of: JobRequest | None = None, **of_settings: Any) -> dict[str, Any]:
    """Return the container of such a Job."""
    (container,) = pod(of, **of_settings)["containers"]
    return dict(container)
