"""moto's S3 server as a program: prints its port, then serves on the loopback interface until it is stopped."""

from __future__ import annotations

import signal
import sys

from moto.server import ThreadedMotoServer


def main() -> int:
    """Serve on a free port (chosen by the kernel, so that two servers never race for one)."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # before any thread exists
    sys.exit(main())
