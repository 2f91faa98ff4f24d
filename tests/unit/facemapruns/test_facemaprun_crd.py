"""The definition of FacemapRuns says what the controller understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from fmdj_cloud.control.facemapruns.model import FacemapRunSpec, read_spec
from fmdj_cloud.control.facemapruns.standing import Stand
from fmdj_cloud.control.facemapruns.status import Verdict, build_status
from fmdj_cloud.control.kube import labels
from fmdj_cloud.errors import UsageError

from .test_facemaprun_status import NOW, planned

ROOT = Path(__file__).parents[3]
CRD = yaml.safe_load((ROOT / "helm/fmdj-cloud/files/facemapruns.fmdj.dev.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]


def plain(schema: Any) -> Any:
    """The schema for a validator that doesn't know Kubernetes' extensions; unknown fields are refused."""
    if isinstance(schema, list):
        return [plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: plain(value) for name, value in schema.items() if not str(name).startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        found["anyOf"] = INT_OR_STRING
    if "properties" in schema and "apiVersion" not in schema["properties"]:
        found["additionalProperties"] = False
    return found


def accepts(spec: dict) -> bool:
    try:
        jsonschema.validate({"spec": spec}, plain(SCHEMA))
    except jsonschema.ValidationError:
        return False
    return "restriction" in spec or "keys" in spec  # the one rule in CEL about one object


def nodes(schema: dict, path: str = "") -> Iterator[tuple[str, dict]]:
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from nodes(schema[name], f"{path}.{name}")


@pytest.mark.parametrize("version", ["1.31", "1.36"])
def test_it_is_a_definition_to_kubernetes(version: str) -> None:
    kubernetes_validate.validate(CRD, version, strict=True)


def test_it_is_what_the_controller_watches() -> None:
    names = CRD["spec"]["names"]
    assert CRD["metadata"]["name"] == f"{labels.PLURAL}.{labels.GROUP}"
    assert (CRD["spec"]["group"], names["plural"], VERSION["name"]) == (labels.GROUP, labels.PLURAL, labels.VERSION)
    assert (names["shortNames"], names["categories"], CRD["spec"]["scope"]) == (["fmr"], ["fmdj"], "Namespaced")
    assert VERSION["subresources"] == {"status": {}}
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if not column.get("priority")]
    assert shown == ["Selected", "Loaded", "Running", "Failed", "Complete", "Age"]


def test_it_is_structural() -> None:
    for path, schema in nodes(SCHEMA):
        if schema.get("x-kubernetes-int-or-string"):
            assert "type" not in schema, path
            assert schema.get("anyOf", INT_OR_STRING) == INT_OR_STRING, path
        else:
            assert "type" in schema, path
            assert not {"anyOf", "oneOf", "allOf", "not"} & schema.keys(), path
        assert not ({"properties", "additionalProperties"} <= schema.keys()), path
        if schema["type"] == "array" if "type" in schema else False:
            assert "items" in schema, path
        if "pattern" in schema:
            re.compile(schema["pattern"])


def test_every_field_is_known_to_both() -> None:
    fields = {field.alias for field in FacemapRunSpec.model_fields.values()}
    assert set(SCHEMA["properties"]["spec"]["properties"]) == fields


GOOD = {"pipeline": "lab", "restriction": "subject = 'm1'"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"kind": "import"},
        {"keys": [{"subject": "m1", "recording_id": 3}]},
        {"priority": -3, "profile": "big", "suspend": True, "retryFailed": True},
        {"shards": 4},
        {"shards": "auto"},
        {"timeBudget": 3600},
        {"timeBudget": "1h30m"},
    ],
)
def test_what_one_takes_the_other_takes(change: dict) -> None:
    assert accepts(GOOD | change)
    assert read_spec(GOOD | change)


@pytest.mark.parametrize(
    "change",
    [
        {"pipeline": ""},
        {"pipeline": "Lab"},
        {"kind": "both"},
        {"restriction": ""},
        {"restriction": 3},
        {"keys": [{}]},
        {"keys": [{"a": True}]},
        {"keys": {"a": 1}},
        {"priority": "high"},
        {"priority": 10**9},
        {"profile": "Big"},
        {"shards": 0},
        {"shards": "many"},
        {"timeBudget": 0},
        {"timeBudget": "1d"},
        {"timeBudget": "-1h"},
        {"suspend": "yes please"},
        {"unheard": 1},
    ],
)
def test_what_one_refuses_the_other_refuses(change: dict) -> None:
    assert not accepts(GOOD | change)
    with pytest.raises(UsageError):
        read_spec(GOOD | change)


def test_something_must_be_selected() -> None:
    assert not accepts({"pipeline": "lab"})
    with pytest.raises(UsageError, match="say which tasks"):
        read_spec({"pipeline": "lab"})
    (rule,) = SCHEMA["properties"]["spec"]["x-kubernetes-validations"]
    assert rule["rule"] == "has(self.restriction) || has(self.keys)"


def test_pipeline_and_kind_stay() -> None:
    for name in ("pipeline", "kind"):
        (rule,) = SCHEMA["properties"]["spec"]["properties"][name]["x-kubernetes-validations"]
        assert rule["rule"] == "self == oldSelf"


def test_every_status_that_is_written_fits() -> None:
    from fmdj_cloud.contracts import RunState
    from fmdj_cloud.control.facemapruns.model import FacemapRun

    run = FacemapRun(name="a", uid="u")
    tasks = [planned(1, RunState.LAUNCHED), planned(2, RunState.FAILED)]
    for verdict in (Verdict("Accepted", "Yes.", accepted=True), Verdict("InvalidSpec", "No.")):
        status = build_status(run, verdict, tasks, {}, instance="i", suspended=False, observed_at=NOW, now=NOW)
        jsonschema.validate({"spec": GOOD, "status": status}, plain(SCHEMA))
    assert {str(stand) for stand in Stand} < set(SCHEMA["properties"]["status"]["properties"])


def test_the_example_in_the_docs_can_be_applied() -> None:
    page = (ROOT / "docs/facemapruns.md").read_text()
    examples = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    assert examples
    for example in examples:
        assert (example["apiVersion"], example["kind"]) == (f"{labels.GROUP}/{labels.VERSION}", "FacemapRun")
        assert accepts(example["spec"])
        assert read_spec(example["spec"])
