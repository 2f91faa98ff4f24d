"""Can runs be reserved in the job tables that a lab's own populate() uses? The part of ``fmdj doctor`` about it."""

from __future__ import annotations

from collections.abc import Iterator

from fmdj_cloud.control.finding import Finding, Verdict, judged
from fmdj_cloud.control.grants import Program, job_table_grants
from fmdj_cloud.control.server import missing_rights
from fmdj_cloud.pipeline.database import Database
from fmdj_cloud.pipeline.lab import Lab


def diagnose_courtesy(database: Database, lab: Lab, *, wanted: bool) -> Iterator[Finding]:
    """Check a lab's job tables.

    Parameters
    ----------
    database : Database
    lab : Lab
    wanted : bool
        ``controller.courtesy``.

    Yields
    ------
    Finding
        One.
    """
    check = f"reservations of {lab.name}"
    grants = tuple(job_table_grants(Program.CONTROLLER, database, lab))
    if not wanted:
        yield Finding(check=check, verdict=Verdict.NOT_APPLICABLE, found="controller.courtesy is off: there are none.")
        return
    if not grants:
        yield Finding(
            check=check,
            verdict=Verdict.NOT_APPLICABLE,
            found="Nobody has used populate(reserve_jobs=True) here, or this user may not see its job tables: runs go "
            "on without reservations.",
        )
        return
    tables = ", ".join(f"{grant.schema_name}.{grant.table}" for grant in grants)
    missing = missing_rights(database, grants)
    yield judged(
        check,
        not missing,
        f"populate(reserve_jobs=True) and fmdj leave each other's tasks alone, by {tables}."
        if not missing
        else f"This user lacks {', '.join(missing)}: if it is the controller's, its runs aren't reserved there.",
        "Give the controller's user what `fmdj grants controller` prints, or a colleague's populate() may compute the "
        "same.",
        Verdict.WARN,
    )
