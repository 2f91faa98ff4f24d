"""Outputs that wait for populate's transaction."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from fmdj_cloud.contracts import RunRecord
from fmdj_cloud.errors import LoadError, LostRaceError
from fmdj_cloud.load.failing import fail_load
from fmdj_cloud.load.insert import insert_run
from fmdj_cloud.load.prepare import Prepared, Published, prepared
from fmdj_cloud.load.results import LoadEnd
from fmdj_cloud.load.rows import processing_row
from fmdj_cloud.names import canonical_key, display_key
from fmdj_cloud.pipeline.codec import encode
from fmdj_cloud.pipeline.keys import KeyColumns
from fmdj_cloud.pipeline.lab import Lab
from fmdj_cloud.pipeline.ledger import Ledger
from fmdj_cloud.settings import LoadSettings
from fmdj_cloud.storage import Store

_log = logging.getLogger(__name__)
_MIB = 1 << 20


class ProcessingOutputs:
    """What FacemapProcessing says of a published run.

    Parameters
    ----------
    lab : Lab
    found : Published
    """

    def __init__(self, lab: Lab, found: Published) -> None:
        self._lab = lab
        self._found = found

    def insert(self, key: Mapping[str, Any]) -> None:
        """Insert the row, unless the loader was quicker.

        Raises
        ------
        LostRaceError
            If the task was edited or deleted meanwhile.
        """
        lab = self._lab
        table = lab.element.FacemapProcessing
        # As the loader: whoever holds the task's row decides, and the other sees what was decided
        where, args = KeyColumns.of(lab.element.database, lab.element.FacemapTask).among([key])
        task_table = lab.element.FacemapTask.full_table_name
        lab.element.database.query(f"SELECT 1 FROM {task_table} WHERE {where} FOR UPDATE", args)  # noqa: S608
        if lab.tasks_of(self._found.run).param_digests([key]).get(canonical_key(key)) != self._found.run.param_digest:
            raise LostRaceError(f"Task {display_key(key)} was edited or deleted while it was computed.")
        if not table & key:
            table.insert1(encode(table, processing_row(key, self._found.manifest)), allow_direct_insert=True)


class SignalOutputs:
    """The verified and checked signals of a published run, in a file of ours until they are inserted.

    Parameters
    ----------
    store : Store
    ledger : Ledger
    lab : Lab
    run : RunRecord
        In state published.
    limits : LoadSettings

    Raises
    ------
    LoadError
        If the outputs fail verification or quality control: the run is then failed in the ledger, too.
    """

    def __init__(self, store: Store, ledger: Ledger, lab: Lab, run: RunRecord, limits: LoadSettings) -> None:
        self._ledger = ledger
        self._lab = lab
        self._limits = limits
        # Closed after the insertion, or, where populate never comes to that, with this object
        self._open = contextlib.ExitStack()
        self._prepared: Prepared
        try:
            self._prepared, warnings = self._open.enter_context(prepared(store, ledger, lab, run, limits))
        except LoadError as error:
            self._fail(run, error)
            raise
        for warning in warnings:
            _log.warning("%s", warning)

    def insert(self, key: Mapping[str, Any]) -> None:
        """Insert all rows, and mark the run loaded; nothing if the loader was quicker.

        Raises
        ------
        LoadError
            If the rows don't fit the tables.
        LostRaceError
            If the task was edited or deleted, or the run changed meanwhile.
        """
        database = self._lab.element.database
        with self._open:
            insertion = insert_run(database, self._ledger, self._lab, self._prepared, self._limits.slice_mib * _MIB)
        if insertion.end is LoadEnd.LOADED:
            return
        if insertion.end is LoadEnd.LOST and self._lab.tasks_of(self._prepared.run).has_result([key]):
            _log.info("The loader was quicker with %s.", display_key(key))
            return
        raise LostRaceError(f"Nothing was inserted for {display_key(key)}: {insertion.why}")

    def close(self) -> None:
        """Remove the file; idempotent."""
        self._open.close()

    def __del__(self) -> None:
        stack = getattr(self, "_open", None)
        if stack is not None:
            stack.close()

    def _fail(self, run: RunRecord, error: LoadError) -> None:
        if not fail_load(self._ledger, run, error):
            _log.info("Run %s changed meanwhile.", run.run_id)
