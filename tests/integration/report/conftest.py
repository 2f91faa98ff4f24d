"""The recording of the exports' tests: results of both kinds, computed and loaded."""

from __future__ import annotations

from tests.integration.export.conftest import recorded as recorded
