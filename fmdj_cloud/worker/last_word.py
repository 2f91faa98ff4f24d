"""How a worker tells that, and why, it has ended: in its log, and in the last word that its launcher reads."""

from __future__ import annotations

import logging
from pathlib import Path

from fmdj_cloud.contracts import TerminationMessage
from fmdj_cloud.worker.mishaps import as_ours

log = logging.getLogger(__name__)

_MAX_BYTES = 4096


def log_failure(error: Exception) -> None:
    """Log why the worker fails: a sentence where there is one, else where it happened."""
    ours = as_ours(error)
    if ours is None:
        log.exception("the worker crashed", exc_info=error)
    else:
        log.error("%s", ours.sentence)


def last_word(error: Exception) -> TerminationMessage:
    """Return what is said of an error in the end."""
    ours = as_ours(error)
    if ours is None:
        return TerminationMessage(
            code="crash", exit_code=1, sentence=f"The worker crashed ({type(error).__name__}: {error}): report it."
        )
    return TerminationMessage(
        code=ours.code, exit_code=ours.exit_code, sentence=ours.sentence, check=getattr(ours, "check", "")
    )


def say(message: TerminationMessage, path: Path | None) -> None:
    """Write the last word, cut to what Kubernetes keeps of it."""
    if path is None:
        return
    data = message.model_dump_json().encode()
    while len(data) > _MAX_BYTES:
        excess = len(data) - _MAX_BYTES
        message = message.model_copy(update={"sentence": message.sentence[: -excess - 1] + "…"})
        data = message.model_dump_json().encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        log.warning("the last word can't be written to %s: %s", path, error)
