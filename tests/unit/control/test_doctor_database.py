"""What the server's variables mean for what we write."""

from __future__ import annotations

import types
from typing import Any

import pytest

from fmdj_cloud.control.doctor_database import diagnose_writing
from fmdj_cloud.control.finding import Finding, Verdict


def found(**variables: str) -> dict[str, Finding]:
    def query(_sql: str, _args: Any = ()) -> list[tuple[str, str]]:
        return list(variables.items())

    return {one.check: one for one in diagnose_writing(types.SimpleNamespace(backend="mysql", query=query))}


def test_a_plain_server_takes_everything() -> None:
    verdicts = {name: one.verdict for name, one in found(log_bin="OFF", read_only="OFF", wsrep_on="OFF").items()}
    assert verdicts == {
        "writing": Verdict.OK,
        "binary log": Verdict.NOT_APPLICABLE,
        "transaction size": Verdict.OK,
    }


@pytest.mark.parametrize("value", ["ON", "1", "NO_LOCK_NO_ADMIN"])
def test_a_replica_is_refused(value: str) -> None:
    finding = found(read_only=value)["writing"]
    assert (finding.verdict, "primary" in finding.remedy) == (Verdict.FAIL, True)


@pytest.mark.parametrize(("used", "verdict"), [("ROW", Verdict.OK), ("MIXED", Verdict.OK), ("STATEMENT", Verdict.FAIL)])
def test_a_log_of_statements_is_refused(used: str, verdict: Verdict) -> None:
    finding = found(log_bin="ON", binlog_format=used, max_binlog_cache_size=str(1 << 62))["binary log"]
    assert finding.verdict is verdict


@pytest.mark.parametrize(
    ("variables", "verdict", "words"),
    [
        ({"group_replication_transaction_size_limit": "150000000"}, Verdict.WARN, "143 MiB"),
        ({"group_replication_transaction_size_limit": "0"}, Verdict.OK, "no limit"),
        ({"wsrep_on": "ON", "wsrep_max_ws_size": "2147483647"}, Verdict.OK, "2048 MiB"),
        ({"wsrep_on": "OFF", "wsrep_max_ws_size": "1"}, Verdict.OK, "no limit"),
        ({"log_bin": "ON", "max_binlog_cache_size": "1073741824"}, Verdict.WARN, "up to 536870 frames"),
        ({"log_bin": "OFF", "max_binlog_cache_size": "4096"}, Verdict.OK, "no limit"),
    ],
)
def test_a_recording_must_fit_one_transaction(variables: dict[str, str], verdict: Verdict, words: str) -> None:
    finding = found(**variables)["transaction size"]
    assert finding.verdict is verdict
    assert words in finding.found
