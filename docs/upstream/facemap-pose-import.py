"""Importing Facemap's pose code downloads files; without internet it fails.

Needs facemap; `python facemap-pose-import.py` ends with an AssertionError where the fault is. Nothing is downloaded.
"""

import os
import tempfile
import urllib.error

os.environ["HOME"] = tempfile.mkdtemp()
for name in ("http_proxy", "https_proxy"):
    os.environ[name] = "http://127.0.0.1:9"  # nobody listens there

try:
    from facemap.pose import model_loader  # noqa: F401

    failed = ""
except urllib.error.URLError as error:
    failed = str(error)

assert not failed, f"without internet, `import facemap.pose.model_loader` raises URLError: {failed}"
