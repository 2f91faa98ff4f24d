"""Outputs of a run with equal content will do: a manifest that refers to them takes the place of a computation.

Equal content is equal videos, parameters, engine and model: the content digest. What was computed under a check that
somebody overrode, or with more leniency than now, isn't taken.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence

from pydantic import ValidationError

from fmdj_cloud import names
from fmdj_cloud.contracts import REUSE, AttemptRecord, Limits, Manifest, RunPlan, RunRecord, RunSpec, RunState, Wanted
from fmdj_cloud.control.courtesy import Courtesy
from fmdj_cloud.control.decide import RunView
from fmdj_cloud.control.leader import Leader
from fmdj_cloud.control.report import Tally
from fmdj_cloud.control.specs import build_spec, read_spec, spec_bytes, spec_uri
from fmdj_cloud.errors import ConfigError, InputError, ObjectMissingError, StorageError
from fmdj_cloud.logs import log_context
from fmdj_cloud.names import ATTEMPT_MAX
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store
from fmdj_cloud.storage.manifests import commit_manifest, file_uri, parse_manifest, pinned_bytes

_log = logging.getLogger(__name__)
Compared = Callable[[Iterable[str]], tuple[RunView, ...]]
_DONORS = 3
"""Runs of equal content that are looked at, the newest first."""
_LENIENCY = ("max_missing_frames", "max_view_mismatch_frames", "max_bad_frames", "allow_unknown_facemap")


class Reuser:
    """Publishes ready runs whose content has been computed.

    Parameters
    ----------
    settings : Settings
    ledger : Ledger
    store : Store
    leader : Leader
    courtesy : Courtesy
        What is reserved by somebody else is left to them, as where something is computed.
    """

    def __init__(self, settings: Settings, ledger: Ledger, store: Store, leader: Leader, courtesy: Courtesy) -> None:
        self._settings = settings
        self._ledger = ledger
        self._store = store
        self._leader = leader
        self._courtesy = courtesy
        self._spoilt: set[tuple[str, int, str, int]] = set()
        """(run, attempt) whose outputs won't do for (run, attempt)."""

    def publish_equal(
        self, views: tuple[RunView, ...], compared: Compared, now: dt.datetime, tally: Tally
    ) -> tuple[RunView, ...]:
        """Publish those of the ready runs whose outputs there are; return the views that are to be decided about.

        Parameters
        ----------
        views : tuple of RunView
        compared : callable
            Returns the views with some runs' tasks compared to what they were.
        now : datetime
            The database's clock.
        tally : Tally

        Raises
        ------
        LeadershipLostError
            If this process leads no more.
        DatabaseError
            If the database doesn't answer.
        """
        if not self._settings.controller.reuse:
            return views
        ready = [view.run for view in views if _may_begin(view, now)]
        donors = self._ledger.with_outputs({run.content_digest for run in ready}) if ready else {}
        found = {run.run_id: self._worth_a_look(run, donors.get(run.content_digest, [])) for run in ready}
        candidates = {run_id for run_id, worth in found.items() if worth}
        if not candidates:
            return views
        views, taken = compared(candidates), set()
        for view in views:
            if view.run.run_id in candidates and _may_begin(view, now):
                with log_context(run_id=view.run.run_id, task=view.run.task):
                    if any(self._try(view.run, donor, tally) for donor in found[view.run.run_id]):
                        taken.add(view.run.run_id)
        return tuple(view for view in views if view.run.run_id not in taken)

    def _worth_a_look(self, run: RunRecord, donors: Sequence[RunRecord]) -> list[RunRecord]:
        """Return the first few of the runs with outputs that may do."""
        return [donor for donor in donors if self._is_worth_a_look(run, donor)][:_DONORS]

    def _is_worth_a_look(self, run: RunRecord, donor: RunRecord) -> bool:
        pair = (run.run_id, run.attempt, donor.run_id, donor.attempt)
        return donor.run_id != run.run_id and donor.kind is run.kind and pair not in self._spoilt

    def _try(self, run: RunRecord, donor: RunRecord, tally: Tally) -> bool:
        """Publish a run with a donor's outputs; True if it isn't ready any more, for whatever reason."""
        epoch = self._leader.check()
        plan = self._ledger.plan_of(run.run_id)
        try:
            source = self._source(run, plan, donor)
        except (StorageError, ConfigError) as error:
            tally.trouble(f"Run {run.run_id}: {error.sentence}")
            return False
        if source is None:
            self._spoilt.add((run.run_id, run.attempt, donor.run_id, donor.attempt))
            return False
        put_off = self._courtesy.take(run)
        if put_off is not None:
            self._courtesy.leave(run, put_off, epoch, tally)
            return True
        return self._publish(run, plan, source, donor, epoch, tally)

    def _source(self, run: RunRecord, plan: RunPlan, donor: RunRecord) -> tuple[Manifest, str] | None:
        """Return a donor's manifest and attempt folder, if it still verifies and may stand for the run's own."""
        attempt = self._ledger.attempt(donor.run_id, donor.attempt)
        if attempt is None or donor.manifest_sha256 is None or not plan.reuse:
            return None
        manifest = self._manifest(attempt, donor.manifest_sha256)
        if manifest is None or manifest.content_digest != run.content_digest:
            return None
        spec = self._spec(attempt)
        if spec is None or not self._is_as_strict(spec, run, plan):
            return None
        return manifest, attempt.folder

    def _manifest(self, attempt: AttemptRecord, sha256: str) -> Manifest | None:
        data = pinned_bytes(self._store, attempt.folder, sha256)
        if data is None:
            return None
        try:
            manifest, _ = parse_manifest(data)
            sizes = [(file.size, self._store.head(file_uri(attempt.folder, file.path)).size) for file in manifest.files]
        except (ObjectMissingError, InputError, ValueError):
            return None
        return manifest if all(size == found for size, found in sizes) else None

    def _spec(self, attempt: AttemptRecord) -> RunSpec | None:
        try:
            data = read_spec(self._store, attempt.folder)
            if hashlib.sha256(data).hexdigest() != attempt.spec_sha256:
                return None
            return RunSpec.model_validate_json(data)
        except (ObjectMissingError, ValidationError):
            return None

    def _is_as_strict(self, spec: RunSpec, run: RunRecord, plan: RunPlan) -> bool:
        return set(spec.accept) <= set(self._ledger.accepted(run)) and is_as_strict(spec.limits, plan.limits)

    def _publish(
        self, run: RunRecord, plan: RunPlan, source: tuple[Manifest, str], donor: RunRecord, epoch: int, tally: Tally
    ) -> bool:
        spec = build_spec(run, plan, run.attempt, plan.limits, accept=self._ledger.accepted(run))
        data, sha256 = spec_bytes(spec)
        # the ledger first: who leads no more must not write over the spec of who does. One that dies before the
        # manifest is there leaves a launched run without a Job, which is computed then.
        launched = self._ledger.launch(
            run.run_id,
            run.attempt,
            folder=spec.attempt_uri,
            spec_sha256=sha256,
            launcher=REUSE,
            job_name=names.job_name(run.run_id, run.attempt, self._settings.instance),
            limits=plan.limits,
            epoch=epoch,
        )
        if not launched:
            return False
        manifest = reusing(source[0], source[1], spec, sha256, names.new_nonce())
        try:
            self._store.put_bytes(spec_uri(spec.attempt_uri), data)
            manifest_sha256 = commit_manifest(self._store, spec.attempt_uri, manifest)
        except (StorageError, ConfigError) as error:
            tally.trouble(f"Run {run.run_id}: {error.sentence}")
            return True
        sentence = f"Its outputs are those of {donor.run_id}, attempt {donor.attempt}, with equal content."
        done = self._ledger.publish(run.run_id, run.attempt, manifest_sha256, epoch=epoch, sentence=sentence)
        tally.tell(done, "published", f"Nothing to compute: {sentence}")
        return True


def _may_begin(view: RunView, now: dt.datetime) -> bool:
    run = view.run
    due = run.not_before is None or run.not_before <= now
    wanted = run.wanted is Wanted.RUN and not view.obsolete and not view.unsure
    return run.state is RunState.READY and wanted and due and run.attempt <= ATTEMPT_MAX


def is_as_strict(done: Limits, asked: Limits) -> bool:
    """Tell whether outputs were computed with no more leniency than is asked for now: pure."""
    return all(getattr(done, name) <= getattr(asked, name) for name in _LENIENCY)


def reusing(manifest: Manifest, folder: str, spec: RunSpec, spec_sha256: str, nonce: str) -> Manifest:
    """Return the manifest of an attempt whose files are another's: pure.

    Parameters
    ----------
    manifest : Manifest
        The other's.
    folder : str
        URI of the other's attempt folder.
    spec : RunSpec
        Of the attempt that computes nothing.
    spec_sha256 : str
    nonce : str
        Its folder.
    """
    files = tuple(file.model_copy(update={"path": file_uri(folder, file.path)}) for file in manifest.files)
    gui_file = file_uri(folder, manifest.gui_file) if manifest.gui_file is not None else None
    return manifest.model_copy(
        update={
            "run_id": spec.run_id,
            "attempt": spec.attempt,
            "kind": spec.kind,
            "nonce": nonce,
            "spec_sha256": spec_sha256,
            "files": files,
            "gui_file": gui_file,
            # where the numbers were made, however many have taken them since
            "reused_from": manifest.reused_from or folder,
        }
    )
