"""Where the API server is, and who we are there.

Kubeconfigs, service accounts, exec plugins and TLS are the `kubernetes` package's business: it is asked for a
configuration and a pool of connections, and for nothing else. Its typed models cost ten times what the request costs.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
import yaml
from urllib3.connection import HTTPConnection

from fmdj_cloud.errors import ConfigError
from fmdj_cloud.settings import KubernetesSettings

SUPPORTED = (34, 35)
"""Major versions of the `kubernetes` package: 36.0 has a broken log call, 37 doesn't install beside boto3."""
_NAMESPACE_FILE = "namespace"
_POOL = 16
"""Connections kept: four watches, and what the controller asks, several requests at a time."""
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""A peer that disappeared without a word is noticed within a minute, also while a watch is quiet."""


@dataclass(frozen=True)
class Connection:
    """A way to the API server, with one set of credentials.

    Attributes
    ----------
    host : str
        URL of the API server, without a trailing slash.
    namespace : str
        Namespace of the service account or of the kubeconfig's context.
    pool : urllib3.PoolManager
    authorization : callable
        Returns the header of that name, fresh: tokens rotate on disk, and plugins' tokens expire. None without one.
        Raises ConfigError if it can't be had.
    """

    host: str
    namespace: str
    pool: urllib3.PoolManager
    authorization: Callable[[], str | None]


def connect(settings: KubernetesSettings) -> Connection:
    """Read credentials, and prepare connections; nothing is asked of the API server yet.

    Parameters
    ----------
    settings : KubernetesSettings
        `kubeconfig` and `context`. Without the first: the pod's own account, then KUBECONFIG, then ``~/.kube/config``.

    Raises
    ------
    ConfigError
        If there are no credentials, they can't be read, or the `kubernetes` package isn't one that is supported.
    """
    import kubernetes
    import kubernetes.client.rest as rest
    import kubernetes.config as config
    from kubernetes.config import incluster_config

    _check_version(str(kubernetes.__version__))
    configuration = kubernetes.client.Configuration()
    in_pod = settings.kubeconfig is None and Path(incluster_config.SERVICE_TOKEN_FILENAME).is_file()
    files = str(settings.kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config")
    where = "this pod's service account" if in_pod else f"the kubeconfig {files}"
    with _readable(where):
        if in_pod:
            config.load_incluster_config(configuration)
            # a proxy for the way out of the cluster doesn't know the way into it, and the package reads no networks
            # (10.0.0.0/8) in NO_PROXY
            configuration.proxy = None
            namespace = Path(incluster_config.SERVICE_TOKEN_FILENAME).with_name(_NAMESPACE_FILE).read_text().strip()
        else:
            config.load_kube_config(files, settings.context, configuration, persist_config=False)
            namespace = _context_namespace(config.list_kube_config_contexts(files), settings.context)
        pool = rest.RESTClientObject(configuration, maxsize=_POOL).pool_manager
    pool.connection_pool_kw["socket_options"] = [
        *HTTPConnection.default_socket_options,
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        *((socket.IPPROTO_TCP, option, value) for option, value in _KEEPALIVE),
    ]
    host = str(configuration.host).rstrip("/")
    return Connection(host, namespace or "default", pool, _authorization(configuration, where))


@contextlib.contextmanager
def _readable(where: str) -> Iterator[None]:
    """Turn what reading files and running plugins may raise into our error."""
    import kubernetes.config as config

    try:
        yield
    except (config.ConfigException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise ConfigError(
            f"Kubernetes can't be reached with {where}: {words}. Set kubernetes.kubeconfig or KUBECONFIG, or run in a "
            "pod that has a service account."
        ) from error


def _authorization(configuration: Any, where: str) -> Callable[[], str | None]:
    lock = threading.Lock()  # the package's own reading of tokens knows no threads

    def authorization() -> str | None:
        with lock, _readable(where):
            value = configuration.get_api_key_with_prefix("authorization")
        if value is None:
            return None
        scheme, _, credentials = str(value).strip().partition(" ")
        return (
            f"{scheme.capitalize()} {credentials}"  # some proxies know only `Bearer`, and the package writes it small
        )

    return authorization


def _context_namespace(found: tuple[list[dict[str, Any]], dict[str, Any]], name: str | None) -> str:
    contexts, current = found
    chosen = next((context for context in contexts if context["name"] == name), current)
    return str(chosen["context"].get("namespace") or "")


def _check_version(version: str) -> None:
    match = re.match(r"\d+", version)
    if match is None or int(match[0]) not in SUPPORTED:
        known = " and ".join(str(major) for major in SUPPORTED)
        raise ConfigError(
            f"The Python package kubernetes {version} isn't supported, {known} are: pip install 'kubernetes<36'."
        )
