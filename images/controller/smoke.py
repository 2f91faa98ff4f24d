"""What must be true of a controller's environment: everything it needs is there, and nothing of the worker."""

from __future__ import annotations

import importlib.util
import sys

import fmdj_cloud.cli.app
import fmdj_cloud.control.loop
import fmdj_cloud.load.loop
import fmdj_cloud.serve
import fmdj_cloud.serve.page.program

NEEDED = ("boto3", "datajoint", "kubernetes", "psycopg2", "pymysql")
FOREIGN = ("av", "cv2", "facemap", "numba", "scipy", "torch")

missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
found = [name for name in FOREIGN if importlib.util.find_spec(name) is not None]
if missing or found:
    sys.exit(f"missing: {missing}, the worker's: {found}")
print("fmdj-cloud", fmdj_cloud.__version__)
