"""The fake cluster as a process of its own: ``python -m tests.support.kube --kubeconfig FILE``.

It writes the kubeconfig when it listens, runs with real time, and is driven by ``POST /_fake/...`` (see
:mod:`tests.support.kube.admin`). SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import datetime as dt
import signal
import threading
from pathlib import Path

from tests.support.kube.clock import START
from tests.support.kube.cluster import FakeCluster


def main() -> None:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.kube", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="written when the server listens")
    parser.add_argument("--namespace", default="lab")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument(
        "--speed", type=float, default=1.0, help="seconds of the cluster in one of ours; 0 stands still"
    )
    parser.add_argument("--crd", type=Path, action="append", default=[], help="YAML that is there from the start")
    parser.add_argument("--fixed-time", action="store_true", help="begin at a fixed time instead of now")
    parser.add_argument("--plain", action="store_true", help="HTTP; kubectl then shows no token")
    told = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    start = START if told.fixed_time else dt.datetime.now(dt.UTC)
    with FakeCluster(told.namespace, start=start, port=told.port, secure=not told.plain) as cluster:
        cluster.install(*told.crd)
        if told.speed:
            cluster.go(told.speed)
        cluster.kubeconfig(told.kubeconfig)
        stop.wait()


if __name__ == "__main__":
    main()
