"""What the programs show to probes and to Prometheus, over HTTP: nothing can be changed there."""

from fmdj_cloud.serve.health import Health, Probe, Report, program_health
from fmdj_cloud.serve.server import StatusServer, serve_status

__all__ = ["Health", "Probe", "Report", "StatusServer", "program_health", "serve_status"]
