"""A Helm for a fake cluster, which knows no Deployments: the chart is rendered by the real one and put there by hand.

Of what it renders, the kinds that the fake serves are applied, controller and loader become pods, and what Helm's hooks
do (``migrate``, ``uninstall``) is run here. TUTORIAL_HELM names the real Helm, which does everything else;
TUTORIAL_PROGRAM is the environment that programs get beside their settings (JSON), TUTORIAL_POD where that of the
controller's pod is written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
SERVED = ("ConfigMap", "Secret", "ServiceAccount", "CustomResourceDefinition")
PROGRAMS = ("controller", "loader")


def main() -> int:
    words = sys.argv[1:]
    try:
        if words[:1] == ["install"]:
            install(words[1:])
        elif words[:1] == ["uninstall"]:
            uninstall(words[1], _value(words, "-n"))
        else:
            real = os.environ["TUTORIAL_HELM"]
            os.execv(real, [real, *words])
    except subprocess.CalledProcessError as error:  # it has said why
        return error.returncode
    return 0


def install(words: list[str]) -> None:
    """Put a release into the cluster."""
    release, namespace = words[0], _value(words, "-n")
    assert "--wait" in words
    words = [word for word in words if word not in ("--wait", "--create-namespace")]
    at = words.index("--timeout")
    documents = _render([*words[:at], *words[at + 2 :]])
    kubectl("", "apply", "-f", "-", body={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for one in documents:
        if one["kind"] in SERVED and "helm.sh/hook" not in one["metadata"].get("annotations", {}):
            kubectl(namespace, "apply", "-f", "-", body=one)
    (config,) = (one for one in documents if one["metadata"]["name"] == f"{release}-config")
    _write_environment(config["data"]["fmdj.yaml"], namespace)
    for command in (("selftest", "--prepare"), ("migrate",)):
        fmdj(*command)
    for name in PROGRAMS:
        (deployment,) = (
            one for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"] == f"{release}-{name}"
        )
        template = deployment["spec"]["template"]
        metadata = {"name": f"{release}-{name}-0", "labels": template["metadata"]["labels"]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        kubectl(namespace, "apply", "-f", "-", body=pod)
        kubectl(namespace, "wait", "--for=condition=Ready", "--timeout=300s", f"pod/{release}-{name}-0")
    sys.stdout.write(f"NAME: {release}\nSTATUS: deployed\n")


def uninstall(release: str, namespace: str) -> None:
    """Remove it, as the chart's hook and Helm do."""
    fmdj("uninstall", "--yes")
    kubectl(namespace, "delete", "pod", *(f"{release}-{name}-0" for name in PROGRAMS))
    sys.stdout.write(f'release "{release}" uninstalled\n')


def fmdj(*words: str) -> None:
    """Run a command as the chart's hooks do."""
    environment = json.loads(Path(os.environ["TUTORIAL_POD"]).read_text())
    subprocess.run(["fmdj", *words], env=environment, check=True)


def kubectl(namespace: str, *words: str, body: Json | None = None) -> None:
    """Call the real kubectl."""
    options = [f"--namespace={namespace}"] if namespace else []
    text = None if body is None else json.dumps(body)
    subprocess.run([os.environ["TUTORIAL_KUBECTL"], *options, *words], input=text, text=True, check=True)


def _render(words: list[str]) -> list[Json]:
    answer = subprocess.run([os.environ["TUTORIAL_HELM"], "template", *words], stdout=subprocess.PIPE, check=True)
    return [one for one in yaml.safe_load_all(answer.stdout) if one]


def _write_environment(settings: str, namespace: str) -> None:
    pod = Path(os.environ["TUTORIAL_POD"])
    config = pod.with_name("fmdj.yaml")
    config.write_text(settings)
    own = {"FMDJ_CONFIG": str(config), "FMDJ_KUBERNETES__NAMESPACE": namespace}
    pod.write_text(json.dumps(json.loads(os.environ["TUTORIAL_PROGRAM"]) | own))


def _value(words: list[str], option: str) -> str:
    return words[words.index(option) + 1]


if __name__ == "__main__":
    sys.exit(main())
