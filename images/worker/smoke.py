"""What must be true of a worker's environment: Facemap works there, and it has no way into a database."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from pathlib import Path

FOREIGN = ("datajoint", "kubernetes", "psycopg2", "pymysql")

found = [name for name in FOREIGN if importlib.util.find_spec(name) is not None]
if found:
    sys.exit(f"not the worker's: {found}")
with tempfile.TemporaryDirectory() as home:
    # facemap.pose downloads its model when it is imported, unless files of these names are there
    models = Path(home, ".facemap", "models")
    models.mkdir(parents=True)
    for name in ("facemap_model_params.pth", "facemap_model_state.pt"):
        (models / name).touch()
    os.environ["HOME"] = home
    import facemap.pose.pose
    import facemap.process
    import torch

    import fmdj_cloud
    import fmdj_cloud.worker.main

for function in (facemap.process.run, facemap.pose.pose.Pose, fmdj_cloud.worker.main.run_worker):
    if not callable(function):
        sys.exit(f"{function!r} can't be called")
print("fmdj-cloud", fmdj_cloud.__version__, "torch", torch.__version__, "CUDA", torch.version.cuda)
