"""Logs: one event per line, readable on a terminal or JSON in a cluster, run and task on every line."""

from __future__ import annotations

import contextlib
import contextvars
import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator
from typing import Literal

from fmdj_cloud.printable import printable, printable_json

_context: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("fmdj_log_context", default={})  # noqa: B039 - never mutated, always replaced

_OURS = "fmdj_cloud"


@contextlib.contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Add fields (``run_id``, ``task``) to every line logged inside."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class TextFormatter(logging.Formatter):
    """``time level message  run_id=... task=...``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line (a traceback adds its own)."""
        time = dt.datetime.fromtimestamp(record.created, dt.UTC).strftime("%H:%M:%S")
        fields = "".join(f"  {name}={value}" for name, value in _context.get().items())
        line = f"{time} {record.levelname.lower():7} {record.getMessage()}{fields}"
        # control characters are escaped, so that a file name can't forge a log line
        trace = printable(self.formatException(record.exc_info), keep="\n\t") if record.exc_info else ""
        return printable(line) + (f"\n{trace}" if trace else "")


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ``time``, ``level``, ``logger``, ``message`` and the context's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        event = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_context.get(),
        }
        if record.exc_info:
            event["traceback"] = self.formatException(record.exc_info)
        return printable_json(json.dumps(event, ensure_ascii=False))


def configure_logging(level: str, style: Literal["text", "json"]) -> None:
    """Send our logs to stderr.

    Parameters
    ----------
    level : str
        Least level of our own logs; libraries are kept at WARNING.
    style : {"text", "json"}
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    # On the handler, since libraries set the level of their loggers whenever they like
    handler.addFilter(lambda record: record.name.startswith(_OURS) or record.levelno >= logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(level)
    for chatty in ("datajoint", "botocore", "boto3", "urllib3"):
        logging.getLogger(chatty).handlers.clear()
        logging.getLogger(chatty).setLevel(logging.WARNING)
        logging.getLogger(chatty).propagate = True
