"""A kubectl for a fake cluster whose pods are processes of this machine.

``exec`` and ``port-forward`` lead to those; everything else is done by the real kubectl that TUTORIAL_KUBECTL names.
TUTORIAL_POD is a file with the environment of the controller's pod (JSON), TUTORIAL_SERVICES says where the services
really are: ``{"service/name": port, ...}``.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path


def main() -> int:
    words = sys.argv[1:]
    if "exec" in words:
        command = words[words.index("--") + 1 :]
        os.execvpe(command[0], command, json.loads(Path(os.environ["TUTORIAL_POD"]).read_text()))
    if "port-forward" in words:
        target, ports = words[words.index("port-forward") + 1 :]
        forward(int(ports.partition(":")[0]), json.loads(os.environ["TUTORIAL_SERVICES"])[target])
    real = os.environ["TUTORIAL_KUBECTL"]
    os.execv(real, [real, *words])


def forward(port: int, target: int) -> None:
    """Hand connections on to another port of this machine, until killed."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", target))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy what arrives until there is no more."""
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:  # one side is gone: so is the other
        source.close()
        sink.close()


if __name__ == "__main__":
    sys.exit(main())
