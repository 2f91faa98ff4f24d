"""``python -m fmdj_cloud.worker --spec URI --sha256 HEX --nonce NAME [--stage STAGE]``: what launchers start."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fmdj_cloud.contracts import Stage
from fmdj_cloud.errors import ConfigError
from fmdj_cloud.logs import configure_logging
from fmdj_cloud.settings import load_settings
from fmdj_cloud.worker.main import run_worker


def main(arguments: list[str] | None = None) -> int:
    """Run one attempt with the settings of the environment; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m fmdj_cloud.worker", description="Run one attempt of a run.")
    parser.add_argument("--spec", required=True, metavar="URI", help="the attempt's spec.json")
    parser.add_argument("--sha256", required=True, metavar="HEX", help="SHA-256 of the spec's bytes")
    parser.add_argument("--nonce", required=True, metavar="NAME", help="name of this process's folder of outputs")
    parser.add_argument("--termination-log", type=Path, metavar="PATH", help="where the last word is written")
    parser.add_argument("--stage", type=Stage, choices=list(Stage), default=Stage.ALL, help="of a sharded run")
    parser.add_argument("--index", type=int, metavar="I", help="the shard, from 0, in stage project")
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except ConfigError as error:
        parser.exit(error.exit_code, f"{error.sentence}\n")
    configure_logging(settings.log.level, settings.log.format)
    return run_worker(
        chosen.spec,
        chosen.sha256,
        chosen.nonce,
        settings,
        termination_log=chosen.termination_log,
        stage=chosen.stage,
        index=chosen.index,
    )


if __name__ == "__main__":
    sys.exit(main())
