"""What the images install, as their Dockerfiles do it, in environments that are kept until a lock changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fmdj_cloud import __version__

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "images"
KEPT = ROOT / ".tools" / "images"
LIMITS_MB = {"controller": 350, "worker": 2000}
DOCKERFILES = sorted(IMAGES.glob("*/Dockerfile"))
LISTING = """
import importlib.metadata, json
print(json.dumps([(d.name, d.version, d.requires or []) for d in importlib.metadata.distributions()]))
"""
OFFLINE = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def run(*command, env=None, **options):
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, env={**os.environ, **(env or {})}, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(image):
    """The image's environment, whole or not at all; those of older locks are removed."""
    digest = hashlib.sha256()
    for path in (IMAGES / "install.sh", *sorted((IMAGES / image).glob("*.txt"))):
        digest.update(path.read_bytes())
    venv = KEPT / f"{image}-{digest.hexdigest()[:12]}"
    if not (venv / "complete").exists():
        for other in KEPT.glob(f"{image}-*"):
            shutil.rmtree(other)
        run("sh", IMAGES / "install.sh", image, venv, env={"PYTHON": sys.executable})
        (venv / "complete").touch()
    run("sh", IMAGES / "build.sh", venv, env={"PYTHON": sys.executable})
    return venv


@pytest.fixture(scope="module", params=sorted(LIMITS_MB))
def image(request):
    return request.param


@pytest.fixture(scope="module")
def venv(image):
    return installed(image)


@pytest.fixture
def bare(tmp_path):
    """An environment as a container's: no settings, a home that is empty."""
    return {"PATH": os.defpath, "HOME": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path), **OFFLINE}


def test_everything_it_needs_is_there_and_works_without_network(venv, image, bare):
    done = subprocess.run(
        [venv / "bin/python", IMAGES / image / "smoke.py"], capture_output=True, text=True, env=bare, cwd=bare["HOME"]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"fmdj-cloud {__version__}" in done.stdout


def test_no_requirement_is_missing(venv):
    """What every package asks for is there, in a version that it takes; extras that nobody asked for are not."""
    found = json.loads(run(venv / "bin/python", "-I", "-c", LISTING))
    versions = {canonicalize_name(name): version for name, version, _ in found}
    ours = {"datajoint", "kubernetes", "prometheus-client", "rich", "typer"} if "worker" in venv.name else set()
    for name, _, requires in found:
        for requirement in map(Requirement, requires):
            needed = canonicalize_name(requirement.name)
            if (requirement.marker and not requirement.marker.evaluate({"extra": ""})) or (
                name == "fmdj-cloud" and needed in ours
            ):
                continue
            assert needed in versions, f"{name} needs {requirement}"
            assert requirement.specifier.contains(versions[needed], prereleases=True), f"{name} needs {requirement}"


def test_it_is_no_larger_than_said(venv, image):
    size = sum(path.lstat().st_size for path in venv.rglob("*"))
    assert size < LIMITS_MB[image] * 1e6


def test_its_programs_start(venv, image, bare):
    command = {
        "controller": ["fmdj", "controller", "--help"],
        "worker": ["python", "-m", "fmdj_cloud.worker", "--help"],
    }
    program, *arguments = command[image]
    assert "sage" in run(venv / "bin" / program, *arguments, env=bare, cwd=bare["HOME"])


def test_the_workers_cuda_set_resolves():
    lock = (IMAGES / "worker/torch-cuda.txt").read_text()
    cpu = (IMAGES / "worker/torch-cpu.txt").read_text().strip()
    assert re.search(rf"^{re.escape(cpu)} ", lock, re.MULTILINE), "the same torch for CPU and CUDA"
    uv = Path(sys.executable).with_name("uv")
    options = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28", "--quiet", "--no-header")
    both = [IMAGES / "worker/requirements.txt", IMAGES / "worker/torch-cuda.txt"]
    found = run(uv, "pip", "compile", *both, *options, "--no-annotate")
    assert "nvidia-cudnn" in found


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles_are_linted(path):
    # DL3059: steps are kept apart so that their layers are; SC2046 and the like come from shellcheck, which it holds
    run(Path(sys.executable).with_name("hadolint"), "--ignore", "DL3059", path)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_dockerfiles_build_with_docker_and_buildah_alike(path):
    text = path.read_text()
    assert "--mount" not in text, "BuildKit's alone"
    assert text.count("FROM ${BASE_IMAGE}") == 2
    assert re.search(r"^ARG BASE_IMAGE=\S+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    assert re.search(r"^USER 1000:1000$", text, re.MULTILINE)
    heavy, light = (
        text.index("install.sh worker" if "worker" in path.parts else "install.sh controller"),
        text.index("COPY fmdj_cloud"),
    )
    assert heavy < light, "our code changes most often and comes last"
    assert "FMDJ_" not in text, "a variable would win over the settings' file"
    for label in ("version", "revision", "licenses", "source", "title"):
        assert f"org.opencontainers.image.{label}=" in text


def test_the_workers_image_carries_facemaps_licence_and_says_where_its_source_is():
    text = (IMAGES / "worker/Dockerfile").read_text()
    assert 'licenses="Apache-2.0 AND GPL-3.0-only"' in text
    assert "/licenses/facemap/LICENSE" in text
    assert "facemap-1.0.8.tar.gz" in (IMAGES / "worker/SOURCE").read_text()


def test_what_is_copied_into_an_image_is_sent_to_the_builder():
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for path in DOCKERFILES:
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", path.read_text(), re.MULTILINE):
            for source in line.split():
                assert source.split("/")[0] in sent, f"{path}: {source}"
                assert (ROOT / source).exists()
