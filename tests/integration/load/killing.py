"""A loader in a process of its own, which can be killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

LOADER = """
import sys
from fmdj_cloud.load.loop import Loader
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import open_store

settings = Settings.model_validate_json(sys.stdin.read())
loader = Loader(settings, Database(settings.database), open_store(settings.storage))
print([result.end.value for result in loader.run_pass()], flush=True)
"""


def settings_json(world: Any) -> str:
    """Settings with their secrets, which the usual dump hides."""

    def reveal(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: reveal(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [reveal(item) for item in value]
        return value.get_secret_value() if hasattr(value, "get_secret_value") else value

    return json.dumps(reveal(world.settings.model_dump(mode="python")), default=str)


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found
