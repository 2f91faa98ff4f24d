"""One worker, from its spec to its commit."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fmdj_cloud.contracts import RunSpec, Stage, TerminationMessage
from fmdj_cloud.errors import ConfigError, FmdjError, StoppedError
from fmdj_cloud.logs import TextFormatter, log_context
from fmdj_cloud.names import check_nonce
from fmdj_cloud.settings import Settings
from fmdj_cloud.storage import Store, open_store
from fmdj_cloud.storage import uri as uris
from fmdj_cloud.worker.fetch import read_spec
from fmdj_cloud.worker.handover import Desk
from fmdj_cloud.worker.last_word import last_word, log_failure, say
from fmdj_cloud.worker.pod import REPORTER_WAIT_S, Pod, now
from fmdj_cloud.worker.progress import Reporter
from fmdj_cloud.worker.scratch import scratch_folder
from fmdj_cloud.worker.stages import STEPS
from fmdj_cloud.worker.stop import Stop

log = logging.getLogger(__name__)


def run_worker(
    spec_uri: str,
    spec_sha256: str,
    nonce: str,
    settings: Settings,
    *,
    termination_log: Path | None = None,
    stage: Stage = Stage.ALL,
    index: int | None = None,
) -> int:
    """Run one attempt, or one stage of it.

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
    stage : Stage
    index : int, optional
        The shard, in stage ``project``.

    Returns
    -------
    int
        Exit code: 0 if the stage's commit is written, else that of the failure (:mod:`fmdj_cloud.errors`), 1 for
        a crash.
    """
    worker = _Worker(spec_uri, spec_sha256, nonce, settings, termination_log, stage, index)
    with worker.stop.on_signals(worker.last_resort):
        try:
            message = TerminationMessage(code="done", exit_code=0, manifest_sha256=worker.run())
        except Exception as error:
            if not worker.logged:
                log_failure(error)
            message = last_word(error)
    say(message, termination_log)
    return message.exit_code


class _Worker:
    """The worker; what its last resort needs is kept here."""

    def __init__(
        self,
        spec_uri: str,
        spec_sha256: str,
        nonce: str,
        settings: Settings,
        termination_log: Path | None,
        stage: Stage,
        index: int | None,
    ) -> None:
        self.stop = Stop()
        self.logged = False
        """Whether the failure stands in the log already."""
        self._spec_uri = spec_uri
        self._spec_sha256 = spec_sha256.lower()
        self._nonce = nonce
        self._settings = settings
        self._termination_log = termination_log
        self._stage = stage
        self._index = index
        self._pod: Pod | None = None
        self._scratch: Path | None = None

    def run(self) -> str | None:
        """Do everything; return the manifest's SHA-256, None for a stage that has none."""
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
            say(last_word(error), self._termination_log)
            if self._pod is not None and self._pod.child is not None:
                self._pod.child.kill()
            if self._scratch is not None:
                shutil.rmtree(self._scratch, ignore_errors=True)
        finally:
            os._exit(error.exit_code)

    def _on_scratch(self, store: Store, spec: RunSpec, desk: Desk) -> str | None:
        settings = self._settings.worker
        reporter = Reporter(
            store,
            uris.join(spec.attempt_uri, self._nonce),
            run_id=spec.run_id,
            attempt=spec.attempt,
            told=desk.told,
            log_path=desk.log,
            progress_s=settings.progress_s,
            log_upload_s=settings.log_upload_s,
            index=self._index,
        )
        self._pod = Pod(
            store=store,
            spec=spec,
            spec_sha256=self._spec_sha256,
            nonce=self._nonce,
            desk=desk,
            stop=self.stop,
            reporter=reporter,
            part_s=settings.part_s,
            stage=self._stage,
            index=self._index,
            started=now(),
        )
        with _log_file(desk.log):
            try:
                return self._steps(self._pod)
            except Exception as error:
                log_failure(error)
                self.logged = True
                reporter.close(REPORTER_WAIT_S)
                if not isinstance(error, StoppedError):  # then there is no time for it
                    _keep_log(reporter)
                raise

    def _steps(self, pod: Pod) -> str | None:
        stage = self._stage.value if self._index is None else f"{self._stage.value} {self._index}"
        log.info("attempt %d of %s, stage %s, pod folder %s", pod.spec.attempt, pod.spec.run_id, stage, self._nonce)
        pod.check()
        pod.reporter.start()
        return STEPS[self._stage](pod)


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


def _keep_log(reporter: Reporter) -> None:
    try:
        reporter.write_log()
    except FmdjError as error:  # the failure itself counts, not that its log is lost
        log.warning("run.log can't be kept: %s", error.sentence)
