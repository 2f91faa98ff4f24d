"""Request bodies judged by the models of the Kubernetes client 37, which can't be installed beside boto3.

Client 37 validates bodies before it sends them: unknown fields and numbers for quantities raise. It lives in a folder
of its own inside the environment that the tests run in, made once for each ``client37.txt``, and is asked by a Python
that sees nothing else.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

LOCK = Path(__file__).with_name("client37.txt")
_JUDGE = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
import kubernetes
problems = []
for module, model, body in json.load(sys.stdin):
    kind = getattr(importlib.import_module("kubernetes.client.models." + module), model)
    try:
        kind.model_validate(body)
    except ValueError as error:
        problems += [model + " " + ".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors()]
json.dump({"version": kubernetes.__version__, "problems": problems}, sys.stdout)
"""


class Body(NamedTuple):
    """A body and the model that judges it: ``Body("v1_job", "V1Job", {...})``."""

    module: str
    model: str
    body: dict[str, Any]


class Unavailable(Exception):
    """The client can't be installed: there is no package index, or not this version."""


def folder() -> Path:
    """Return the folder that the client is installed in; it is made when it isn't there.

    Raises
    ------
    Unavailable
    """
    environment = Path(sys.prefix)
    found = environment / f"kubernetes37-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}"
    if found.is_dir():
        return found
    made = environment / f"kubernetes37-{uuid.uuid4().hex}.new"
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-compile", "--only-binary", ":all:"]
    result = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--target", str(made), "--requirement", str(LOCK)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    if result.returncode:
        shutil.rmtree(made, ignore_errors=True)
        raise Unavailable(f"pip can't install {LOCK.name}: {result.stderr.strip()[-500:]}")
    for old in environment.glob("kubernetes37-*"):
        if old != made and not old.name.endswith(".new"):
            shutil.rmtree(old, ignore_errors=True)
    try:
        made.rename(found)
    except OSError:  # another test process was quicker
        shutil.rmtree(made, ignore_errors=True)
    return found


def judged(bodies: Sequence[Body]) -> tuple[str, list[str]]:
    """Return the client's version and what its models find wrong with bodies.

    Raises
    ------
    Unavailable
    """
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _JUDGE, str(folder())],
        input=json.dumps(bodies),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    answer = json.loads(result.stdout)
    return answer["version"], answer["problems"]
