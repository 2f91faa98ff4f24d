"""A worker that was asked to stop is gone in time, whatever hangs."""

import signal
import subprocess
import sys
import time

HANGS = """
import sys, time
from fmdj_cloud.worker import stop

stop.GRACE_S, stop.END_S = 0.1, 0.5
with stop.Stop().on_signals(lambda: time.sleep(60)):
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""


def test_the_process_ends_even_if_its_last_resort_hangs() -> None:
    process = subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
        assert time.monotonic() - asked < 10
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
