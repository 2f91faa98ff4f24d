"""Leadership, pipelines and requests: the small tables of the ledger."""

from __future__ import annotations

import datetime as dt
import uuid

from fmdj_cloud.contracts import Basis, Engine, PipelineRecord, RequestRecord
from fmdj_cloud.pipeline.ledger_base import LedgerBase
from fmdj_cloud.pipeline.ledger_rows import PIPELINE_COLUMNS, REQUEST_COLUMNS, fit, pipeline_record, request_record
from fmdj_cloud.pipeline.repeating import repeated

_NEVER = dt.datetime(1970, 1, 1)


class Leadership(LedgerBase):
    """The one row that says which controller leads."""

    @repeated
    def acquire(self, holder: str, lease_s: float) -> int | None:
        """Become the leader, or stay it, if nobody else leads.

        Parameters
        ----------
        holder : str
            Name of this process, which no other has.
        lease_s : float
            Seconds of the database's clock that leadership lasts unless renewed.

        Returns
        -------
        int or None
            The epoch, one higher than ever before when the holder changed or the lease had run out; None
            if another leads.
        """
        if (epoch := self._acquire(holder, lease_s)) is not None:
            return epoch
        row = {"leader_id": 1, "holder": "", "epoch": 0, "expires": _NEVER}
        if not self.database.insert_new(self._leader, row, ["leader_id"]):
            return None
        return self._acquire(holder, lease_s)

    def _acquire(self, holder: str, lease_s: float) -> int | None:
        dialect = self.database.dialect
        with self.database.transaction():
            # MySQL assigns from left to right, so `epoch` comes first
            changed = self.database.execute(
                f"UPDATE {self._leader} SET "
                f"epoch = CASE WHEN holder = %s AND expires > {dialect.now} THEN epoch ELSE epoch + 1 END, "
                f"holder = %s, expires = {dialect.soon} "
                f"WHERE leader_id = 1 AND (holder = %s OR expires <= {dialect.now})",
                (holder, holder, _micros(lease_s), holder),
            )
            if not changed:
                return None
            ((epoch,),) = self.database.query(f"SELECT epoch FROM {self._leader} WHERE leader_id = 1")
            return int(epoch)

    @repeated
    def take_over(self, holder: str, lease_s: float) -> int | None:
        """Lead under a new epoch, whoever led before: for who was elected elsewhere.

        Returns
        -------
        int or None
            The epoch; None if another took over at the same moment.
        """
        dialect = self.database.dialect
        self.database.insert_new(
            self._leader, {"leader_id": 1, "holder": "", "epoch": 0, "expires": _NEVER}, ["leader_id"]
        )
        with self.database.transaction():
            self.database.execute(
                f"UPDATE {self._leader} SET epoch = epoch + 1, holder = %s, expires = {dialect.soon} "
                "WHERE leader_id = 1",
                (holder, _micros(lease_s)),
            )
            rows = self.database.query(f"SELECT holder, epoch FROM {self._leader} WHERE leader_id = 1")
        return int(rows[0][1]) if rows and rows[0][0] == holder else None

    @repeated
    def renew(self, holder: str, epoch: int, lease_s: float) -> bool:
        """Lead on; False if leadership was lost or has run out (acquire it again then)."""
        dialect = self.database.dialect
        with self.database.transaction():
            return bool(
                self.database.execute(
                    f"UPDATE {self._leader} SET expires = {dialect.soon} "
                    f"WHERE leader_id = 1 AND holder = %s AND epoch = %s AND expires > {dialect.now}",
                    (_micros(lease_s), holder, epoch),
                )
            )

    @repeated
    def resign(self, holder: str, epoch: int) -> None:
        """Lead no more, so that another need not wait for the lease to run out."""
        with self.database.transaction():
            self.database.execute(
                f"UPDATE {self._leader} SET holder = '', expires = {self._clock} "
                "WHERE leader_id = 1 AND holder = %s AND epoch = %s",
                (holder, epoch),
            )

    def leader(self) -> tuple[str, int, dt.datetime] | None:
        """Return (holder, epoch, expiry) of who leads now, or None."""
        rows = self.database.query(
            f"SELECT holder, epoch, expires FROM {self._leader} "
            f"WHERE leader_id = 1 AND holder <> '' AND expires > {self._clock}"
        )
        return (str(rows[0][0]), int(rows[0][1]), rows[0][2]) if rows else None


class Pipelines(LedgerBase):
    """What was decided when each pipeline was first seen."""

    @repeated
    def see_pipeline(
        self, name: str, *, engine: Engine, pending: int, limit: int, basis: Basis = Basis.EXACT
    ) -> PipelineRecord:
        """Return a pipeline's record; at first sight, make it.

        Parameters
        ----------
        name : str
        engine : Engine
            Engine of its runs from now on; what was decided at first sight stays.
        pending : int
            Tasks pending now.
        limit : int
            With more than these at first sight, the brake is on until :meth:`release`.
        basis : Basis
            How the engine turbo makes the SVD's basis; fixed like the engine.
        """
        if not (known := self._pipelines(" WHERE name = %s", (name,))):
            row = {"name": name, "brake": pending > limit, "engine": engine.value, "basis": basis.value}
            self.database.insert_new(self._pipeline, row, ["name"], clock=("first_seen",))
            known = self._pipelines(" WHERE name = %s", (name,))
        return known[0]

    def pipelines(self) -> list[PipelineRecord]:
        """Return all pipelines ever seen, by name."""
        return self._pipelines("", ())

    @repeated
    def release(self, name: str) -> bool:
        """Take a pipeline's first-start brake off; False if it wasn't on."""
        with self.database.transaction():
            sql = f"UPDATE {self._pipeline} SET brake = %s WHERE name = %s AND brake = %s"
            return bool(self.database.execute(sql, (False, name, True)))

    def _pipelines(self, where: str, args: tuple[str, ...]) -> list[PipelineRecord]:
        sql = f"SELECT {PIPELINE_COLUMNS} FROM {self._pipeline}{where} ORDER BY name"
        return [pipeline_record(row) for row in self.database.query(sql, args)]


class Requests(LedgerBase):
    """What people ask a running controller for."""

    @repeated
    def ask(self, what: str, asked_by: str) -> str:
        """Ask the running controller for something; return the request's id.

        Parameters
        ----------
        what : str
            At most 64 characters, such as ``drain``.
        asked_by : str
            Who asks.
        """
        request_id = uuid.uuid4().hex
        row = {
            "request_id": request_id,
            "what": what,
            "asked_by": fit(asked_by, 255),
            "state": "open",
            "sentence": "",
        }
        self.database.insert_new(self._request, row, ["request_id"], clock=("created", "updated"))
        return request_id

    def requests(self, state: str = "open") -> list[RequestRecord]:
        """Return the requests of one state (``open`` or ``done``), oldest first."""
        sql = f"SELECT {REQUEST_COLUMNS} FROM {self._request} WHERE state = %s ORDER BY created, request_id"
        return [request_record(row) for row in self.database.query(sql, (state,))]

    def request(self, request_id: str) -> RequestRecord | None:
        """Return one request."""
        rows = self.database.query(
            f"SELECT {REQUEST_COLUMNS} FROM {self._request} WHERE request_id = %s", (request_id,)
        )
        return request_record(rows[0]) if rows else None

    @repeated
    def answer(self, request_id: str, sentence: str, *, epoch: int | None) -> bool:
        """Close an open request; False if it isn't open, or `epoch` doesn't lead."""
        fence, fence_args = self._fence(epoch)
        with self.database.transaction():
            sql = (
                f"UPDATE {self._request} SET state = 'done', sentence = %s, updated = {self._clock} "
                f"WHERE request_id = %s AND state = 'open'{fence}"
            )
            return bool(self.database.execute(sql, (fit(sentence), request_id, *fence_args)))


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)
