"""The job table of a computed table with a datetime in its key cannot be made on PostgreSQL.

Needs DataJoint 2 and a PostgreSQL server (DJ_BACKEND=postgresql, DJ_HOST ...); makes a schema and drops it. It ends
with an AssertionError where the fault is.
"""

import uuid
from datetime import datetime

import datajoint as dj

schema = dj.Schema(f"fmdj_{uuid.uuid4().hex[:8]}")


@schema
class Session(dj.Manual):
    definition = "session_datetime : datetime"


@schema
class Done(dj.Computed):
    definition = "-> Session"

    def make(self, key):
        self.insert1(key)


try:
    Session.insert1({"session_datetime": datetime(2026, 1, 1, 12)})
    Done.jobs.refresh()
    failed = ""
except Exception as error:  # whichever the driver raises
    failed = f"{type(error).__name__}: {error}"
finally:
    schema.drop(prompt=False)

assert not failed, failed
