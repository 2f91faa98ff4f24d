"""Gather what a bug report says: versions, settings, doctor's verdicts, and one run's evidence."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fmdj_cloud import __version__
from fmdj_cloud.contracts import AttemptRecord, BindingRecord, FailureClass, RunRecord, RunState
from fmdj_cloud.control.choose import Choice
from fmdj_cloud.control.finding import Finding, Verdict
from fmdj_cloud.control.inspect import read_log
from fmdj_cloud.errors import FmdjError, UsageError
from fmdj_cloud.export.provenance import manifest_of
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.trouble.blame import Blame, Evidence, whose
from fmdj_cloud.trouble.page import LIMIT, Section, bug_report
from fmdj_cloud.trouble.scrub import known_secrets, scrub

_PACKAGES = (
    *(
        "facemap",
        "element-facemap",
        "element-interface",
        "datajoint",
        "numpy",
        "scipy",
        "scikit-learn",
        "numba",
        "torch",
    ),
    *("opencv-python-headless", "av", "h5py", "boto3", "kubernetes", "pydantic", "psycopg2-binary", "pymysql"),
)
_LOG_BYTES = 64 << 10
_SPEC_BYTES = 4 << 20
_SECRET_FILE_BYTES = 1 << 20
_DRAWN = ("packed",)
"""Of ROIs: pictures as text, which say nothing to a reader."""


class _Kept:
    """Sections so far, and what could not be had."""

    def __init__(self) -> None:
        self.sections: list[Section] = []

    def add(self, title: str, read: Callable[[], str], language: str = "json", *, keep_end: bool = False) -> str:
        """Add what is read; where it can't be, the report says why, since a report is wanted when things fail."""
        try:
            text = read()
        except FmdjError as error:
            text, language = f"can't be had: {error.sentence}", ""
        if text:
            self.sections.append(Section(title, text, language, keep_end))
        return text


def gather_report(
    settings: Settings,
    findings: Iterable[Finding],
    choice: Choice | None,
    ledger: Ledger | None,
    store: Store | None,
    *,
    attempt: int | None = None,
    problem: str = "",
    limit: int = LIMIT,
) -> tuple[str, Blame]:
    """Return a bug report without secrets, and the project that it is for.

    Parameters
    ----------
    settings : Settings
    findings : iterable of Finding
        Of ``fmdj doctor``.
    choice : Choice or None
        The task that it is about.
    ledger : Ledger or None
    store : Store or None
    attempt : int or None
        Whose log is shown; the newest by default.
    problem : str
        Why the task can't be looked at.
    limit : int
        Characters at most.
    """
    kept = _Kept()
    found = tuple(findings)
    failed = tuple(finding.check for finding in found if finding.verdict is Verdict.FAIL)
    kept.add("Versions", lambda: _lines(_versions()), "")
    if choice is not None and ledger is not None and store is not None:
        evidence, summary = _of_task(kept, choice, ledger, store, attempt)
    else:
        evidence, summary = Evidence(), problem or "It is about no run."
    kept.add("fmdj doctor", lambda: "\n".join(map(_finding, found)), "")
    kept.add("Settings, without secrets", lambda: _json(settings.model_dump(mode="json", exclude_defaults=True)))
    blame = whose(evidence.model_copy(update={"doctor_failed": failed}))
    secrets = known_secrets(settings, os.environ, secret_files(os.environ))
    # Secrets go before anything is cut: half of one would not be known any more
    clean = [Section(one.title, scrub(one.text, secrets), one.language, one.keep_end) for one in kept.sections]
    return bug_report(blame, scrub(summary, secrets), clean, limit), blame


def secret_files(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what the files of the secrets directory hold."""
    folder = environment.get("FMDJ_SECRETS_DIR")
    for path in sorted(Path(folder).rglob("*")) if folder else ():
        if path.is_file() and path.stat().st_size <= _SECRET_FILE_BYTES:
            yield path.read_text("utf-8", "replace")


def _of_task(kept: _Kept, choice: Choice, ledger: Ledger, store: Store, number: int | None) -> tuple[Evidence, str]:
    lab, tasks, key = choice.lab, choice.tasks, choice.key
    binding = ledger.binding(lab.name, tasks.kind, key)
    run = ledger.run(binding.run_id) if binding is not None and binding.run_id else None
    has_rows = canonical_key(key) in tasks.has_result([key])
    summary = f"Task `{display_key(key)}` of {tasks.name}: {_standing(binding, run)}"
    if binding is not None:
        kept.add("Task", lambda: binding.model_dump_json(indent=1))
    if run is None:
        failure = None if binding is None else binding.failure_class
        sentence = "" if binding is None else binding.sentence
        return Evidence(failure_class=failure, sentence=sentence, foreign_rows=has_rows), summary
    kept.add("Run", lambda: run.model_dump_json(indent=1))
    attempts = ledger.attempts(run.run_id)
    kept.add("Attempts", lambda: _json([one.model_dump(mode="json") for one in attempts]))
    chosen = _chosen(attempts, number)
    if chosen is not None:
        kept.add(f"spec.json of attempt {chosen.attempt}", lambda: _spec(store, chosen))
    kept.add("Manifest", lambda: _manifest(ledger, store, run))
    quality = ledger.quality(run.run_id)
    kept.add("Quality checks", lambda: _json([one.model_dump(mode="json") for one in quality]) if quality else "")
    log = kept.add("Log, its end", lambda: read_log(attempts, run.run_id, store, number, _LOG_BYTES), "", keep_end=True)
    failed = _failure_of(chosen)
    failure = (failed or run.failure_class) if number is not None else (run.failure_class or failed)
    foreign = has_rows and run.state is not RunState.LOADED
    return Evidence(failure_class=failure, sentence=run.sentence, log=log, foreign_rows=foreign), summary


def _standing(binding: BindingRecord | None, run: RunRecord | None) -> str:
    if run is not None:
        return f"run {run.run_id} is {run.state.value}, attempt {run.attempt}. {run.sentence}".rstrip()
    if binding is not None:
        return f"{binding.state.value}. {binding.sentence}".rstrip()
    return "the controller hasn't seen it."


def _chosen(attempts: list[AttemptRecord], number: int | None) -> AttemptRecord | None:
    known = {attempt.attempt: attempt for attempt in attempts}
    if number is not None and number not in known:
        raise UsageError(f"There is no attempt {number}; there are {sorted(known) or 'none'}.")
    return known.get(number if number is not None else max(known, default=0))


def _failure_of(attempt: AttemptRecord | None) -> FailureClass | None:
    known = {failure.value: failure for failure in FailureClass}
    return None if attempt is None or attempt.outcome is None else known.get(attempt.outcome)


def _spec(store: Store, attempt: AttemptRecord) -> str:
    data = store.get_bytes(f"{attempt.folder}/spec.json", max_bytes=_SPEC_BYTES)
    try:
        return _json(_without_pictures(json.loads(data)))
    except ValueError as error:
        return f"{error}\n{data[:2000].decode('utf-8', 'replace')}"


def _manifest(ledger: Ledger, store: Store, run: RunRecord) -> str:
    if run.manifest_sha256 is None:
        return ""
    manifest, problem = manifest_of(ledger, store, run)
    return problem if manifest is None else manifest.model_dump_json(indent=1)


def _without_pictures(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: "..." if name in _DRAWN else _without_pictures(one) for name, one in value.items()}
    return [_without_pictures(one) for one in value] if isinstance(value, list) else value


def _versions() -> Iterator[tuple[str, str]]:
    yield "fmdj-cloud", __version__
    yield "python", sys.version.split()[0]
    yield "platform", platform.platform()
    for name in _PACKAGES:
        try:
            yield name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield name, "not installed"


def _lines(pairs: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"{name} {value}" for name, value in pairs)


def _finding(finding: Finding) -> str:
    remedy = f" -> {finding.remedy}" if finding.remedy and finding.verdict is not Verdict.OK else ""
    return f"{finding.verdict.value:4} {finding.check}: {finding.found}{remedy}"


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False)
