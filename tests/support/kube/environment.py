"""What a container is given, and what keeps it from starting."""

from __future__ import annotations

import base64
import re
from typing import Any

from tests.support.kube import quantities
from tests.support.kube.behaviour import ContainerStart
from tests.support.kube.resources import CONFIGMAPS, SECRETS
from tests.support.kube.store import Key, Object, Store

_REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_.][-A-Za-z0-9_.]*)\))")
_IMAGE = re.compile(
    r"(?:(?:[a-zA-Z0-9.-]+(?::\d+)?)/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def container_start(pod: Object, container: dict[str, Any], store: Store) -> ContainerStart:
    """Return command, arguments and environment as the container gets them."""
    env: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for kind, name in ((SECRETS, "secretRef"), (CONFIGMAPS, "configMapRef")):
            if name in source:
                for key, value in _data(store, kind, pod, source[name]["name"]).items():
                    env[source.get("prefix", "") + key] = value
    for variable in container.get("env") or ():
        if "valueFrom" in variable:
            found = _resolve(pod, container, variable["valueFrom"], store)
            if found is not None:
                env[variable["name"]] = found
        else:
            env[variable["name"]] = _expand(variable.get("value") or "", env)
    return ContainerStart(
        pod=pod,
        name=container["name"],
        command=tuple(_expand(word, env) for word in container.get("command") or ()),
        args=tuple(_expand(word, env) for word in container.get("args") or ()),
        env=env,
    )


def _expand(text: str, env: dict[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return env.get(found[2], found[0])

    return _REFERENCE.sub(replace, text)


def _data(store: Store, kind: Any, pod: Object, name: str) -> dict[str, str]:
    entry = store.get(kind, Key(pod["metadata"]["namespace"], name))
    if entry is None:
        return {}
    plain = dict(entry.obj.get("data") or {})
    if kind is SECRETS:
        plain = {key: base64.b64decode(value).decode() for key, value in plain.items()}
        plain |= entry.obj.get("stringData") or {}
    return plain


def _resolve(pod: Object, container: dict[str, Any], source: dict[str, Any], store: Store) -> str | None:
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    if "secretKeyRef" in source:
        return _data(store, SECRETS, pod, source["secretKeyRef"]["name"]).get(source["secretKeyRef"]["key"])
    if "configMapKeyRef" in source:
        reference = source["configMapKeyRef"]
        return _data(store, CONFIGMAPS, pod, reference["name"]).get(reference["key"])
    if "resourceFieldRef" in source:
        side, _, name = source["resourceFieldRef"]["resource"].partition(".")
        value = ((container.get("resources") or {}).get(side) or {}).get(name, "0")
        divisor = quantities.parse(source["resourceFieldRef"].get("divisor") or "1")
        return str(-int(-quantities.parse(value) // divisor))
    return None


def _field(pod: Object, path: str) -> str:
    found = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if found is not None:
        return (pod["metadata"].get(found[1]) or {}).get(found[2], "")
    value: Any = pod
    for part in path.split("."):
        value = (value or {}).get(part)
    return str(value or "")


def cannot_start(pod: Object, store: Store) -> tuple[str, str]:
    """Return reason and message of what keeps a container from being made; empty if nothing does."""
    namespace = pod["metadata"]["namespace"]
    for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
        image = container["image"]
        if not _IMAGE.fullmatch(image):
            return "InvalidImageName", (
                f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference '
                "format"
            )
        for variable in container.get("env") or ():
            for name, kind, word in (("secretKeyRef", SECRETS, "secret"), ("configMapKeyRef", CONFIGMAPS, "configmap")):
                reference = (variable.get("valueFrom") or {}).get(name)
                if reference is None or reference.get("optional"):
                    continue
                if store.get(kind, Key(namespace, reference["name"])) is None:
                    return "CreateContainerConfigError", f'{word} "{reference["name"]}" not found'
                if reference["key"] not in _data(store, kind, pod, reference["name"]):
                    place = "Secret" if kind is SECRETS else "ConfigMap"
                    return (
                        "CreateContainerConfigError",
                        f"couldn't find key {reference['key']} in {place} {namespace}/{reference['name']}",
                    )
        security = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
        if security.get("runAsNonRoot") and security.get("runAsUser") == 0:
            return "CreateContainerConfigError", "container's runAsUser breaks non-root policy"
    return "", ""


def missing_volume(pod: Object, store: Store) -> str:
    """Return the message of a volume that can't be mounted for want of its source; empty if all can."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        for field, kind, name_field in (("secret", SECRETS, "secretName"), ("configMap", CONFIGMAPS, "name")):
            source = volume.get(field)
            if source is None or source.get("optional"):
                continue
            name = source[name_field]
            if store.get(kind, Key(namespace, name)) is None:
                return f'MountVolume.SetUp failed for volume "{volume["name"]}" : {field.lower()} "{name}" not found'
    return ""
