"""Resolve what the images install, hashed: ``python images/lock.py`` (``make lock`` calls it).

The versions are those of ``constraints.txt``. Torch goes into a step of its own, since its CPU build comes from another
index: ``worker/requirements.txt`` holds all else, ``worker/torch-cuda.txt`` the CUDA build with what it brings.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILD = "hatchling"
_CUDA = re.compile(r"(torch|triton|nvidia-|cuda-)")


def resolve(*what: str) -> list[str]:
    """Return the locked requirements, each with its hashes."""
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", *what),
        *("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--constraint", str(ROOT / "constraints.txt")),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return list(_blocks(done.stdout))


def _blocks(text: str) -> Iterator[str]:
    block: list[str] = []
    for line in text.splitlines():
        if block and not line.startswith(" "):
            yield "\n".join(block)
            block = []
        block.append(line)
    if block:
        yield "\n".join(block)


def _write(name: str, blocks: list[str]) -> None:
    (HERE / name).write_text("\n".join(blocks) + "\n")


def main() -> None:
    """Write the four locks."""
    extras = (word for name in ("postgres", "mysql", "serve") for word in ("--extra", name))
    _write("controller/requirements.txt", resolve("pyproject.toml", *extras))
    worker = resolve("images/worker/requirements.in")
    _write("worker/requirements.txt", [block for block in worker if not _CUDA.match(block)])
    _write("worker/torch-cuda.txt", [block for block in worker if _CUDA.match(block)])
    (torch,) = (block.split()[0] for block in worker if block.startswith("torch=="))
    _write("worker/torch-cpu.txt", [torch])
    build = subprocess.run(
        [
            str(Path(sys.executable).with_name("uv")),
            "pip",
            "compile",
            "--quiet",
            "--generate-hashes",
            "--no-header",
            "--no-annotate",
            "--python-version",
            "3.11",
            "-",
        ],
        input=BUILD,
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    (HERE / "build.txt").write_text(build.stdout)


if __name__ == "__main__":
    main()
