"""A uuid cannot be inserted on PostgreSQL.

Needs DataJoint 2 and a PostgreSQL server (DJ_BACKEND=postgresql, DJ_HOST ...); makes a schema and drops it. It ends
with an AssertionError where the fault is.
"""

import uuid

import datajoint as dj

schema = dj.Schema(f"fmdj_{uuid.uuid4().hex[:8]}")


@schema
class Thing(dj.Manual):
    definition = "thing_id : uuid"


try:
    Thing.insert1({"thing_id": uuid.uuid4()})
    failed = ""
except Exception as error:  # whichever the driver raises
    failed = f"{type(error).__name__}: {error}"
finally:
    schema.drop(prompt=False)

assert not failed, failed
