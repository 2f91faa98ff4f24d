"""A worker at the wire: standard library only, speaks HTTP to the test's S3, obeys the test's behaviours.

Behaviours: ``publish``; ``exit N`` (with a termination message); ``silent N`` (without); ``kill`` (SIGKILL on
itself); ``wait`` (until released, then publish; SIGTERM ends it with 143); ``stubborn`` (ignores SIGTERM);
``empty`` (exit 0 without a manifest); ``late`` (publish, then exit 1).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

FOLDER = Path(os.environ["TINY_WORKER"])
# the test's S3 wants to see a signature, and believes any
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260131/us-east-1/s3/aws4_request, SignedHeaders=host, "
    "Signature=0",
    "Content-Type": "application/json",
}


def url(uri: str) -> str:
    endpoint = json.loads(os.environ["FMDJ_STORAGE"])["s3"]["endpoint_url"]
    return f"{endpoint}/{urllib.parse.quote(uri.removeprefix('s3://'))}"


def publish(spec: dict, sha256: str, nonce: str) -> str:
    log = b"computed"
    manifest = {
        "run_id": spec["run_id"],
        "attempt": spec["attempt"],
        "kind": spec["kind"],
        "nonce": nonce,
        "spec_sha256": sha256,
        "content_digest": spec["content_digest"],
        "files": [
            {"path": f"{nonce}/run.log", "role": "log", "size": len(log), "sha256": hashlib.sha256(log).hexdigest()}
        ],
        "nframes": 1,
        "views": [{"height": 1, "width": 1, "fps": 1.0, "frames": [1], "header_frames": [1]}],
        "versions": {},
        "device": "cpu",
        "threads": 1,
        "timings_s": {},
        "signals": [],
        "started": "2026-01-31T12:00:00",
        "finished": "2026-01-31T12:00:01",
    }
    put(f"{spec['attempt_uri']}/{nonce}/run.log", log)
    data = json.dumps(manifest).encode()
    put(f"{spec['attempt_uri']}/manifest.json", data)
    return hashlib.sha256(data).hexdigest()


def put(uri: str, data: bytes) -> None:
    urllib.request.urlopen(urllib.request.Request(url(uri), data, SIGNED, method="PUT"), timeout=10).close()


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--spec", "--sha256", "--nonce", "--termination-log"):
        parser.add_argument(name, required=True)
    arguments = parser.parse_args()
    if arguments.spec.startswith("s3://"):
        with urllib.request.urlopen(
            urllib.request.Request(url(arguments.spec), headers=SIGNED), timeout=10
        ) as response:
            data = response.read()
        assert hashlib.sha256(data).hexdigest() == arguments.sha256
        spec = json.loads(data)
    else:
        spec = {"run_id": arguments.spec, "attempt": 1}
    behaviours = json.loads((FOLDER / "behaviours.json").read_text())
    behaviour = behaviours[min(spec["attempt"], len(behaviours)) - 1].split()
    if behaviour[0] == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour[0] == "wait":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    with (FOLDER / "starts").open("a") as file:
        file.write(f"{spec['run_id']} {spec['attempt']} {os.getpid()}\n")
    print("tiny worker says", *behaviour, flush=True)
    while behaviour[0] in ("wait", "stubborn") and not (FOLDER / "go").exists():
        time.sleep(0.02)
    if behaviour[0] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    code, message = 0, {"code": "done", "exit_code": 0}
    if behaviour[0] in ("exit", "silent"):
        code = int(behaviour[1])
        message = {"code": "told", "exit_code": code, "sentence": f"Told to exit {code}.", "check": "frames"}
    elif behaviour[0] != "empty" and arguments.spec.startswith("s3://"):
        message["manifest_sha256"] = publish(spec, arguments.sha256, arguments.nonce)
    if behaviour[0] == "late":
        return 1
    if behaviour[0] != "silent":
        Path(arguments.termination_log).write_text(json.dumps(message))
    return code


if __name__ == "__main__":
    sys.exit(main())
