"""Pod Security Standards, as the admission of that name enforces them."""

from __future__ import annotations

from typing import Any

_VOLUMES = (
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
)
_BASELINE_ADDED = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}


def violations(spec: dict[str, Any], level: str) -> list[str]:
    """Return what a pod does that a level forbids, in the order of its own report."""
    if level == "privileged":
        return []
    found = _baseline(spec)
    return found + (_restricted(spec) if level == "restricted" else [])


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _named(names: list[str]) -> str:
    return ("container " if len(names) == 1 else "containers ") + ", ".join(f'"{one}"' for one in names)


def _baseline(spec: dict[str, Any]) -> list[str]:
    found = []
    hosts = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if hosts:
        found.append(f"host namespaces ({', '.join(hosts)})")
    privileged = [one["name"] for one in _containers(spec) if _own(one).get("privileged")]
    if privileged:
        found.append(f"privileged ({_named(privileged)} must not set securityContext.privileged=true)")
    for one in _containers(spec):
        added = set((_own(one).get("capabilities") or {}).get("add") or ()) - _BASELINE_ADDED
        if added:
            said = ", ".join(f'"{word}"' for word in sorted(added))
            found.append(
                f"non-default capabilities ({_named([one['name']])} must not include {said} in "
                "securityContext.capabilities.add)"
            )
    paths = [one["name"] for one in spec.get("volumes") or () if "hostPath" in one]
    if paths:
        found.append("hostPath volumes (volume " + ", ".join(f'"{name}"' for name in paths) + ")")
    return found


def _own(container: dict[str, Any]) -> dict[str, Any]:
    return container.get("securityContext") or {}


def _restricted(spec: dict[str, Any]) -> list[str]:
    found = []
    pod, all_of_them = spec.get("securityContext") or {}, _containers(spec)
    other = [
        (one["name"], kind)
        for one in spec.get("volumes") or ()
        for kind in one
        if kind != "name" and kind not in _VOLUMES
    ]
    if other:
        said = ", ".join(f'volume "{name}" uses restricted volume type "{kind}"' for name, kind in other)
        found.append(f"restricted volume types ({said})")
    escalating = [one["name"] for one in all_of_them if _own(one).get("allowPrivilegeEscalation") is not False]
    if escalating:
        found.append(
            f"allowPrivilegeEscalation != false ({_named(escalating)} must set "
            "securityContext.allowPrivilegeEscalation=false)"
        )
    capable = [
        one["name"] for one in all_of_them if "ALL" not in ((_own(one).get("capabilities") or {}).get("drop") or ())
    ]
    if capable:
        found.append(
            f'unrestricted capabilities ({_named(capable)} must set securityContext.capabilities.drop=["ALL"])'
        )
    rooted = [one["name"] for one in all_of_them if _own(one).get("runAsNonRoot", pod.get("runAsNonRoot")) is not True]
    if rooted:
        found.append(f"runAsNonRoot != true (pod or {_named(rooted)} must set securityContext.runAsNonRoot=true)")
    if pod.get("runAsUser") == 0:
        found.append("runAsUser=0 (pod must not set runAsUser=0)")
    open_ = [
        one["name"]
        for one in all_of_them
        if ((_own(one).get("seccompProfile") or pod.get("seccompProfile") or {}).get("type"))
        not in ("RuntimeDefault", "Localhost")
    ]
    if open_:
        found.append(
            f"seccompProfile (pod or {_named(open_)} must set securityContext.seccompProfile.type to "
            '"RuntimeDefault" or "Localhost")'
        )
    return found
