"""``fmdj`` as it is, but its workers are those of the test (``python -m tests.support.kills.program controller``)."""

from __future__ import annotations

import functools
import json
import os
import sys

from fmdj_cloud.cli import app
from fmdj_cloud.control import backends
from tests.support.kills import tripwire
from tests.support.weather.no_room import no_room_from_environment
from tests.support.weather.skew import skew_from_environment


def main() -> int:
    command = json.loads(os.environ["FMDJKILL_WORKER"])
    if command:
        # read first: were it called otherwise, nothing would be replaced, and the real worker would run
        backends.LocalLauncher = functools.partial(backends.LocalLauncher, worker_command=command)
    tripwire.arm_from_environment(sys.argv[1])
    skew_from_environment(sys.argv[1])
    no_room_from_environment()
    return app.main()


if __name__ == "__main__":
    sys.exit(main())
