"""The tiny worker of the controller's tests, publishing a signals.h5 that can be loaded."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("tiny", Path(__file__).parents[1] / "control" / "tiny_worker.py")
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)


def publish(run_spec: dict, sha256: str, nonce: str) -> str:
    kept = ("pose.h5", "pose.json") if run_spec["pose"] else ("signals.h5", "manifest.json")
    signals, outline = ((tiny.FOLDER / name).read_bytes() for name in kept)
    manifest = json.loads(outline) | {
        "run_id": run_spec["run_id"],
        "attempt": run_spec["attempt"],
        "kind": run_spec["kind"],
        "nonce": nonce,
        "spec_sha256": sha256,
        "content_digest": run_spec["content_digest"],
        "files": [
            {
                "path": f"{nonce}/signals.h5",
                "role": "signals",
                "size": len(signals),
                "sha256": hashlib.sha256(signals).hexdigest(),
            }
        ],
    }
    tiny.put(f"{run_spec['attempt_uri']}/{nonce}/signals.h5", signals)
    data = json.dumps(manifest).encode()
    tiny.put(f"{run_spec['attempt_uri']}/{nonce}/manifest.json", data)
    tiny.put(f"{run_spec['attempt_uri']}/manifest.json", data)
    return hashlib.sha256(data).hexdigest()


tiny.publish = publish
if __name__ == "__main__":
    sys.exit(tiny.main())
