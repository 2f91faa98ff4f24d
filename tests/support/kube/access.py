"""Who may talk to the cluster: tokens, kubeconfigs, rights."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.support.kube import errors, tls
from tests.support.kube.requests import Request, RequestMatch, matches


class Access:
    """The one token that is good now, where it is written, and what its owner may not do."""

    def __init__(self, token: str, *, secure: bool) -> None:
        self.token = token
        self.secure = secure
        self.denied: list[RequestMatch] = []
        self._number = 1
        self._configs: dict[Path, dict[str, Any] | None] = {}

    def authenticate(self, request: Request) -> None:
        """Refuse a request without the token of now.

        Raises
        ------
        ApiError
            401.
        """
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise errors.ApiError(401, "Unauthorized")

    def allows(self, request: Request) -> bool:
        """Return whether the token's owner may do that."""
        return not any(matches(match, request) for match in self.denied)

    def expire(self) -> None:
        """Let the token expire: another is good from now."""
        self._number += 1
        self.token = f"fake-token-{self._number}"

    def renew(self) -> None:
        """Write the token of now to wherever tokens were written."""
        for path, config in self._configs.items():
            if config is None:
                path.write_text(self.token)
            else:
                config["users"][0]["user"]["token"] = self.token
                path.write_text(json.dumps(config, indent=1))

    def kubeconfig(self, path: Path, *, url: str, namespace: str, token_file: Path | None) -> None:
        """Write a kubeconfig, whole before it has its name."""
        server = {"server": url}
        if self.secure:
            server["certificate-authority-data"] = base64.b64encode(tls.certificate()[1]).decode()
        context = {"cluster": "fake", "user": "fake", "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": server}],
            "users": [
                {"name": "fake", "user": {"tokenFile": str(token_file)} if token_file else {"token": self.token}}
            ],
            "contexts": [{"name": "fake", "context": context}],
            "current-context": "fake",
        }
        if token_file is not None:
            token_file.write_text(self.token)
        self._configs[token_file or path] = None if token_file else config
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(config, indent=1))
        partial.replace(path)

    def account_folder(self, folder: Path, namespace: str) -> None:
        """Write what a pod finds of its ServiceAccount: token, namespace and the server's certificate."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "token").write_text(self.token)
        (folder / "namespace").write_text(namespace)
        (folder / "ca.crt").write_bytes(tls.certificate()[1])
        self._configs[folder / "token"] = None
