"""Which rights each program needs in the object stores, and no others: policies by prefix."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from fmdj_cloud.contracts import Kind
from fmdj_cloud.control.grants import Program
from fmdj_cloud.control.models import MODELS_FOLDER
from fmdj_cloud.settings import PipelineSettings
from fmdj_cloud.storage.uri import split

_READ_OBJECTS = ("s3:GetObject", "s3:GetObjectVersion")
_DELETE_OBJECTS = ("s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
_WRITE_OBJECTS = ("s3:PutObject", "s3:AbortMultipartUpload")


def bucket_policy(
    program: Program, pipelines: Sequence[PipelineSettings], *, attempt_folder: str | None = None
) -> dict[str, Any]:
    """Return the IAM policy document that a program needs on the ``s3://`` roots: pure.

    Parameters
    ----------
    program : Program
    pipelines : sequence of PipelineSettings
    attempt_folder : str, optional
        URI of the one attempt folder that a worker may write in, for a session of its own; else it may write
        in the attempt folders of all runs.
    """
    inputs = [root for p in pipelines for root in (*p.video_roots, *p.path_map.values(), *p.stores.values())]
    processed = [p.processed_root for p in pipelines]
    reads_inputs = program not in (Program.LOADER, Program.SERVE, Program.GC)
    read = [*(inputs if reads_inputs else []), *processed]
    statements = [_listing(read), _objects("Read", _READ_OBJECTS, [_below(root) for root in read])]
    if program is Program.CONTROLLER:
        # what uploads of killed workers have left is found, and aborted
        statements.append(_listing(processed) | {"Sid": "Uploads", "Action": ["s3:ListBucketMultipartUploads"]})
        statements.append(_objects("Write", _WRITE_OBJECTS, [_below(root) for root in processed]))
    elif program is Program.GC:
        statements.append(_listing(processed) | {"Sid": "Uploads", "Action": ["s3:ListBucketMultipartUploads"]})
        every = [f"{root.rstrip('/')}/*/{kind}-*/a*" for root in processed for kind in Kind]
        statements.append(_objects("Delete", _DELETE_OBJECTS, [_below(folder) for folder in every]))
    elif program in (Program.WORKER, Program.POPULATE):  # populate() and its worker are one user
        every = [f"{root.rstrip('/')}/*/{kind}-*/a*" for root in processed for kind in Kind]
        folders = [attempt_folder] if attempt_folder and program is Program.WORKER else every
        if program is Program.POPULATE:  # it plans, too
            folders += [f"{p.processed_root.rstrip('/')}/{MODELS_FOLDER}" for p in pipelines if p.inference_schema]
        statements.append(_objects("Write", _WRITE_OBJECTS, [_below(folder) for folder in folders]))
    if program in (Program.LOADER, Program.POPULATE, Program.REPAIR):  # columns may keep results in a store
        kept = [_below(f"{p.stores[p.projections].rstrip('/')}/_hash") for p in pipelines if p.projections]
        statements += [_objects("Keep", (*_READ_OBJECTS, *_WRITE_OBJECTS), kept)] if kept else []
    return {"Version": "2012-10-17", "Statement": [s for s in statements if s.get("Resource")]}


def policy_json(policy: dict[str, Any]) -> str:
    """Return a policy document as it is pasted."""
    return json.dumps(policy, indent=2)


def _listing(roots: Iterable[str]) -> dict[str, Any]:
    """Return the right to list, which is a bucket's as a whole.

    Limited to prefixes, it would not count where a missing object is asked for: S3 would answer 403 instead of 404,
    and an upload that isn't there yet would look like a missing right.
    """
    buckets = dict.fromkeys(split(root)[0] for root in roots if root.startswith("s3://"))
    resources = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    return {"Sid": "List", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": resources}


def _objects(name: str, actions: Sequence[str], resources: Iterable[str]) -> dict[str, Any]:
    found = sorted({resource for resource in resources if resource})
    return {"Sid": name, "Effect": "Allow", "Action": list(actions), "Resource": found}


def _below(uri: str) -> str:
    if not uri.startswith("s3://"):
        return ""
    bucket, key = split(uri)
    return f"arn:aws:s3:::{bucket}/{key.rstrip('/')}/*" if key else f"arn:aws:s3:::{bucket}/*"
