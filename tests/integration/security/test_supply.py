"""What the images install: named in full in a bill of materials, and without known vulnerabilities."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

IMAGES = Path(__file__).parents[3] / "images"
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
_KNOWN_BAD = "certifi==2022.12.7"
"""PYSEC-2023-135: an advisory service that doesn't tell of it doesn't answer."""


@pytest.fixture(scope="module")
def sbom():
    spec = importlib.util.spec_from_file_location("fmdj_images_sbom", IMAGES / "sbom.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(*files):
    found = _LOCKED.findall("".join((IMAGES / name).read_text() for name in files))
    return {(plain(name), version) for name, version in found}


@pytest.mark.integration
@pytest.mark.parametrize("image", ["controller", "worker-cuda"])
def test_the_bill_of_materials_names_all_that_is_locked(sbom, image, tmp_path):
    document = json.loads(sbom.write_sbom(image, tmp_path).read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    named = {(plain(one["name"]), one["version"]) for one in document["components"]}
    assert named == locked(*sbom.IMAGES[image])
    assert all(one["purl"].startswith("pkg:pypi/") for one in document["components"])
    digests = [hash_ for one in document["components"] for ref in one["externalReferences"] for hash_ in ref["hashes"]]
    assert {one["alg"] for one in digests} == {"SHA-256"}


@pytest.mark.integration
def test_every_image_has_a_bill_of_materials_and_every_lock_file_is_in_one(sbom):
    files = {name for names in sbom.IMAGES.values() for name in names}
    assert files == {f"{path.parent.name}/{path.name}" for path in IMAGES.glob("*/*.txt")}


def audit(requirements):
    """Return package -> advisories, and those that the service doesn't know."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
    answer = subprocess.run(
        [*command, "--progress-spinner", "off", "--format", "json"], capture_output=True, text=True, timeout=500
    )
    if not answer.stdout:
        return {}, answer.stderr
    found = json.loads(answer.stdout)["dependencies"]
    return {one["name"]: [bad["id"] for bad in one["vulns"]] for one in found if one.get("vulns")}, answer.stderr


@pytest.mark.long
@pytest.mark.parametrize("image", ["controller", "worker-cpu", "worker-cuda"])
def test_no_locked_package_has_a_known_vulnerability(sbom, image, tmp_path):
    probe = tmp_path / "probe.txt"
    probe.write_text(f"{_KNOWN_BAD}\n")
    if not audit(probe)[0]:
        pytest.skip(f"no advisory service is reachable from here: it doesn't tell of {_KNOWN_BAD}")
    pins = tmp_path / "pins.txt"
    pins.write_text("".join(f"{name}=={version}\n" for name, version in sorted(locked(*sbom.IMAGES[image]))))
    found, said = audit(pins)
    assert found == {}, said
