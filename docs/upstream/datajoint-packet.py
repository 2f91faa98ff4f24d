"""A value that is too large for the server's packets looks like a lost connection.

Needs DataJoint 2 and a MySQL or MariaDB server (DJ_HOST ...); makes a schema and drops it. It ends
with an AssertionError where the fault is.
"""

import uuid

import datajoint as dj
import numpy as np

schema = dj.Schema(f"fmdj_{uuid.uuid4().hex[:8]}")


@schema
class Trace(dj.Manual):
    definition = """
    trace_id : int32
    ---
    values : <blob>
    """


connection = dj.conn()
(packet,) = connection.query("SELECT @@max_allowed_packet").fetchone()
try:
    noise = np.random.default_rng(0).bytes(packet + 1)
    with connection.transaction:
        Trace.insert1({"trace_id": 1, "values": np.frombuffer(noise, np.uint8)})
    failed = ""
except Exception as error:  # whichever the driver raises
    failed = f"{type(error).__name__}: {error}"
finally:
    connection.connect()
    schema.drop(prompt=False)

assert "max_allowed_packet" in failed, f"one value of {packet + 1} bytes, {packet} allowed: {failed}"
