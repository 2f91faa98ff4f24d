"""One attempt, from its spec to its manifest."""

from __future__ import annotations

import datetime as dt
import importlib.util
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmdj_cloud.contracts import Kind, Manifest, ManifestFile, RunSpec, TerminationMessage
from fmdj_cloud.errors import ConfigError, FmdjError, StoppedError
from fmdj_cloud.logs import TextFormatter, log_context
from fmdj_cloud.names import check_nonce
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.storage.manifests import commit_manifest
from fmdj_cloud.worker.compute import Child
from fmdj_cloud.worker.fetch import fetch_videos, read_spec
from fmdj_cloud.worker.handover import ChildJob, ChildResult, Desk
from fmdj_cloud.worker.importing.originals import fetch_originals
from fmdj_cloud.worker.mishaps import as_ours
from fmdj_cloud.worker.pose.desk import fetch_for_pose, parts_kept
from fmdj_cloud.worker.progress import Reporter, Where
from fmdj_cloud.worker.publish import publish_log, publish_outputs
from fmdj_cloud.worker.scratch import scratch_folder
from fmdj_cloud.worker.stop import Stop

log = logging.getLogger(__name__)

_MESSAGE_MAX_BYTES = 4096
_CHILDREN = {
    Kind.SVD: ("fmdj_cloud.worker.svd.child", ("facemap", "av", "cv2")),
    Kind.POSE: ("fmdj_cloud.worker.pose.child", ("facemap", "torch", "av", "cv2")),
    Kind.IMPORT: ("fmdj_cloud.worker.importing.child", ("av", "cv2")),
}
"""Kind -> the computing child's module, and what it imports."""
_REPORTER_WAIT_S = 5.0


def run_worker(
    spec_uri: str, spec_sha256: str, nonce: str, settings: Settings, *, termination_log: Path | None = None
) -> int:
    """Run one attempt.

    Parameters
    ----------
    spec_uri : str
        The attempt's spec.
    spec_sha256 : str
        Digest of its bytes, 64 hex digits.
    nonce : str
        Name of this pod's folder in the attempt folder.
    settings : Settings
        ``storage`` and ``worker`` are used.
    termination_log : Path, optional
        Where the last word is written, a :class:`~fmdj_cloud.contracts.TerminationMessage` as JSON.

    Returns
    -------
    int
        Exit code: 0 if the manifest is written, else that of the failure (:mod:`fmdj_cloud.errors`), 1 for
        a crash.
    """
    attempt = _Attempt(spec_uri, spec_sha256, nonce, settings, termination_log)
    with attempt.stop.on_signals(attempt.last_resort):
        try:
            message = TerminationMessage(code="done", exit_code=0, manifest_sha256=attempt.run())
        except Exception as error:
            if not attempt.logged:
                _log_failure(error)
            message = _last_word(error)
    _say(message, termination_log)
    return message.exit_code


class _Attempt:
    """The attempt under way; what its last resort needs is kept here."""

    def __init__(
        self, spec_uri: str, spec_sha256: str, nonce: str, settings: Settings, termination_log: Path | None
    ) -> None:
        self.stop = Stop()
        self.logged = False
        """Whether the failure stands in the log already."""
        self._spec_uri = spec_uri
        self._spec_sha256 = spec_sha256
        self._nonce = nonce
        self._settings = settings
        self._termination_log = termination_log
        self._child: Child | None = None
        self._scratch: Path | None = None
        self._timings: dict[str, float] = {}

    def run(self) -> str:
        """Do everything; return the manifest's SHA-256."""
        try:
            check_nonce(self._nonce)
        except ValueError as error:
            raise ConfigError(f"{error}.") from error
        store = open_store(self._settings.storage)
        spec = read_spec(store, self._spec_uri, self._spec_sha256)
        self.stop.limit(spec.limits.time_budget_s)
        name = f"{spec.run_id}-a{spec.attempt}-{self._nonce}"
        with (
            log_context(run_id=spec.run_id, task=spec.task),
            scratch_folder(self._settings.worker.scratch_dir, name) as folder,
        ):
            self._scratch = folder
            return self._on_scratch(store, spec, Desk(folder))

    def last_resort(self) -> None:
        """End the process, when something in it hangs although it was asked to stop; clearing up may hang, too."""
        error = StoppedError("The worker was asked to stop and something in it hung: it starts again elsewhere.")
        try:
            _say(_last_word(error), self._termination_log)
            if self._child is not None:
                self._child.kill()
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
        finally:
            os._exit(error.exit_code)

    def _on_scratch(self, store: Store, spec: RunSpec, desk: Desk) -> str:
        reporter = Reporter(
            store,
            uris.join(spec.attempt_uri, self._nonce),
            run_id=spec.run_id,
            attempt=spec.attempt,
            told=desk.told,
            log_path=desk.log,
            progress_s=self._settings.worker.progress_s,
            log_upload_s=self._settings.worker.log_upload_s,
        )
        with _log_file(desk.log):
            try:
                return self._steps(store, spec, desk, reporter)
            except Exception as error:
                _log_failure(error)
                self.logged = True
                reporter.close(_REPORTER_WAIT_S)
                if not isinstance(error, StoppedError):  # then there is no time for it
                    _keep_log(reporter)
                raise

    def _steps(self, store: Store, spec: RunSpec, desk: Desk, reporter: Reporter) -> str:
        started = _now()
        log.info("attempt %d of %s, pod folder %s", spec.attempt, spec.run_id, self._nonce)
        parameters = {Kind.SVD: spec.svd, Kind.POSE: spec.pose}
        if spec.kind not in _CHILDREN or parameters.get(spec.kind, spec) is None:
            raise ConfigError(f"This worker can't do {spec.kind.value} runs: use a worker image that can.")
        module, needed = _CHILDREN[spec.kind]
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        if missing:
            raise ConfigError(
                f"{', '.join(missing)} isn't installed where the worker runs: install fmdj-cloud[worker], or use the "
                "worker image."
            )
        if spec.limits.gpu and spec.kind is not Kind.POSE:
            raise ConfigError(f"Runs of kind {spec.kind.value} don't use a GPU: set gpu to 0 in its limits.")
        reporter.start()
        with self._timed("fetch"):
            videos = fetch_videos(store, spec, desk.videos, stop=self.stop)
            originals = fetch_originals(store, spec, desk, stop=self.stop)
            fetch_for_pose(store, spec, desk, stop=self.stop)
        log.info("%d video(s) fetched in %.1f s", sum(map(len, videos)), self._timings["fetch"])
        desk.outputs.mkdir()
        paths = tuple(tuple(str(path) for path in row) for row in videos)
        job = ChildJob(spec=spec, videos=paths, parent=os.getpid(), part_s=self._settings.worker.part_s)
        self._child = Child(desk, job, module)
        reporter.at(None)
        with self._timed("compute"), parts_kept(store, spec, self._nonce, desk):
            result = self._child.run(self.stop)
        for warning in result.warnings:
            log.warning("%s", warning)
        total = reporter.progress().frames_total
        reporter.at(Where("publish", total, total))
        with self._timed("publish"):
            files = originals + publish_outputs(store, spec, self._nonce, desk, stop=self.stop)
        log.info("%d file(s) published, the manifest comes last", len(files))
        reporter.close(_REPORTER_WAIT_S)  # so that nothing overwrites the last of run.log and progress.json
        files += (publish_log(store, spec, self._nonce, desk, stop=self.stop),)
        reporter.at(Where("done", total, total))
        reporter.write_progress()
        self.stop.check()
        return commit_manifest(store, spec.attempt_uri, self._manifest(spec, result, files, started))

    def _manifest(
        self, spec: RunSpec, result: ChildResult, files: tuple[ManifestFile, ...], started: dt.datetime
    ) -> Manifest:
        return Manifest(
            run_id=spec.run_id,
            attempt=spec.attempt,
            kind=spec.kind,
            nonce=self._nonce,
            spec_sha256=self._spec_sha256.lower(),
            content_digest=spec.content_digest,
            files=files,
            gui_file=f"{self._nonce}/{result.gui_file}" if result.gui_file else _imported(spec),
            nframes=result.nframes,
            views=result.views,
            versions=result.versions,
            device=result.device,
            threads=spec.limits.threads,
            timings_s={**self._timings, **result.timings_s},
            signals=result.signals,
            warnings=result.warnings,
            started=started,
            finished=_now(),
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self._timings[stage] = round(time.monotonic() - began, 3)


def _imported(spec: RunSpec) -> str | None:
    """Return the file that the GUI would open where nothing was computed: the one that was imported."""
    return spec.imports[0].uri if spec.imports else None


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Write our log to `path` too, where the child's output goes as well."""
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(TextFormatter())
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def _log_failure(error: Exception) -> None:
    ours = as_ours(error)
    if ours is None:
        log.exception("the worker crashed", exc_info=error)
    else:
        log.error("%s", ours.sentence)


def _keep_log(reporter: Reporter) -> None:
    try:
        reporter.write_log()
    except FmdjError as error:  # the failure itself counts, not that its log is lost
        log.warning("run.log can't be kept: %s", error.sentence)


def _last_word(error: Exception) -> TerminationMessage:
    ours = as_ours(error)
    if ours is None:
        return TerminationMessage(
            code="crash", exit_code=1, sentence=f"The worker crashed ({type(error).__name__}: {error}): report it."
        )
    return TerminationMessage(
        code=ours.code, exit_code=ours.exit_code, sentence=ours.sentence, check=getattr(ours, "check", "")
    )


def _say(message: TerminationMessage, path: Path | None) -> None:
    """Write the last word, cut to what Kubernetes keeps of it."""
    if path is None:
        return
    data = message.model_dump_json().encode()
    while len(data) > _MESSAGE_MAX_BYTES:
        excess = len(data) - _MESSAGE_MAX_BYTES
        message = message.model_copy(update={"sentence": message.sentence[: -excess - 1] + "…"})
        data = message.model_dump_json().encode()
    try:
        path.write_bytes(data)
    except OSError as error:
        log.warning("the last word can't be written to %s: %s", path, error)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
