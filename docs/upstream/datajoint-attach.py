"""A file that was attached cannot be fetched on PostgreSQL.

Needs DataJoint 2 and a PostgreSQL server (DJ_BACKEND=postgresql, DJ_HOST ...); makes a schema and drops it. It ends
with an AssertionError where the fault is.
"""

import tempfile
import uuid
from pathlib import Path

import datajoint as dj

schema = dj.Schema(f"fmdj_{uuid.uuid4().hex[:8]}")

folder = Path(tempfile.mkdtemp())


@schema
class Model(dj.Manual):
    definition = """
    model_id : int32
    ---
    file : <attach>
    """


path = folder / "weights.pt"
path.write_bytes(b"weights")
try:
    Model.insert1({"model_id": 1, "file": str(path)})
    with dj.config.override(download_path=str(folder)):
        found = Path(Model.fetch1("file"))
    failed = "" if found.read_bytes() == b"weights" else "the file has other bytes"
except Exception as error:  # whichever the driver raises
    failed = f"{type(error).__name__}: {error}"
finally:
    schema.drop(prompt=False)

assert not failed, failed
