"""insert(replace=True) fails on PostgreSQL.

Needs DataJoint 2 and a PostgreSQL server (DJ_BACKEND=postgresql, DJ_HOST ...); makes a schema and drops it. It ends
with an AssertionError where the fault is.
"""

import uuid

import datajoint as dj

schema = dj.Schema(f"fmdj_{uuid.uuid4().hex[:8]}")


@schema
class Thing(dj.Manual):
    definition = """
    thing_id : int32
    ---
    colour : varchar(8)
    """


try:
    Thing.insert1({"thing_id": 1, "colour": "red"})
    Thing.insert1({"thing_id": 1, "colour": "blue"}, replace=True)
    failed = "" if Thing.fetch1("colour") == "blue" else "the row has stayed as it was"
except Exception as error:  # whichever the driver raises
    failed = f"{type(error).__name__}: {error}"
finally:
    schema.drop(prompt=False)

assert not failed, failed
