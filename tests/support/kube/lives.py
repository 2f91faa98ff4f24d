"""What the kubelet knows of a pod."""

from __future__ import annotations

import dataclasses

from tests.support.kube.behaviour import Behaviour, Exit, Running
from tests.support.kube.store import Key


@dataclasses.dataclass
class Life:
    """A pod on a node."""

    key: Key
    uid: str
    node: str
    behaviour: Behaviour
    stage: str = "creating"
    """``creating``, ``waiting``, ``running``, ``stopping``, ``over``."""
    process: Running | None = None
    text: str = ""
    log_lost: bool = False
    dead: bool = False
    """Its node answers no more."""
    pulls: int = 0
    planned: Exit | None = None
