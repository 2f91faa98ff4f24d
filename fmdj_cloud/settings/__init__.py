"""Every setting, one tree.

Sources, first wins: arguments, ``FMDJ_*`` environment variables (``__`` between levels, as in
``FMDJ_CONTROLLER__MAX_ACTIVE``), files in the secrets directory ``FMDJ_SECRETS_DIR`` (named like the
variables, as in ``fmdj_database__password``), the YAML file named by ``FMDJ_CONFIG``. A name that starts
with ``FMDJ_`` and is no setting is refused, so that a typing error doesn't silently mean the default.

Database fields left empty come from DataJoint's own configuration (``DJ_HOST`` ..., ``datajoint.json``);
S3 credentials left empty come from the AWS chain.
"""

from fmdj_cloud.settings.base import Section
from fmdj_cloud.settings.controller import ControllerSettings, LocalSettings, RetrySettings
from fmdj_cloud.settings.database import DatabaseSettings
from fmdj_cloud.settings.gc import GcSettings
from fmdj_cloud.settings.kubernetes import KubernetesSettings, ProfileSettings
from fmdj_cloud.settings.load import load_settings, refuse_unknown_names
from fmdj_cloud.settings.pipelines import PipelineSettings
from fmdj_cloud.settings.programs import LoadSettings, LogSettings, WorkerSettings
from fmdj_cloud.settings.quality import FlatThreshold, QualitySettings, Threshold
from fmdj_cloud.settings.serve import PageSettings, ServeSettings
from fmdj_cloud.settings.storage import FileSettings, S3Settings, StorageSettings
from fmdj_cloud.settings.tree import Settings

__all__ = [
    "ControllerSettings",
    "DatabaseSettings",
    "FileSettings",
    "FlatThreshold",
    "GcSettings",
    "KubernetesSettings",
    "LoadSettings",
    "LocalSettings",
    "LogSettings",
    "PageSettings",
    "PipelineSettings",
    "ProfileSettings",
    "QualitySettings",
    "RetrySettings",
    "S3Settings",
    "Section",
    "ServeSettings",
    "Settings",
    "StorageSettings",
    "Threshold",
    "WorkerSettings",
    "load_settings",
    "refuse_unknown_names",
]
