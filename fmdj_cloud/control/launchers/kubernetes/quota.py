"""What a ResourceQuota refuses: whether it may pass, or one Pod alone asks for more than there is."""

from __future__ import annotations

import re

_EXCEEDED = re.compile(
    r"exceeded quota: ([^,]+), requested: (.*?), used: (.*?), limited: (.*)", re.IGNORECASE | re.DOTALL
)
_QUANTITY = re.compile(r"([0-9.]+)(?:[eE]([+-]?[0-9]{1,2}))?(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_SCALE = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0 ** (power + 1) for power, letter in enumerate("KMGTPE")
}


def parse_quantity(quantity: str) -> float | None:
    """Return a Kubernetes quantity such as ``1500m`` or ``4Gi`` as a number, None if it is none.

    Examples
    --------
    >>> parse_quantity("1500m"), parse_quantity("4Gi"), parse_quantity("a lot")
    (1.5, 4294967296.0, None)
    """
    found = _QUANTITY.fullmatch(quantity.strip())
    try:
        return float(found[1]) * 10.0 ** int(found[2] or 0) * _SCALE[found[3] or ""] if found else None
    except ValueError:
        return None


def is_exceeded(message: str) -> bool:
    """Tell whether a quota refused something."""
    return _EXCEEDED.search(message) is not None


def too_large(message: str) -> str:
    """Return what one object alone asks more of than a quota has altogether, empty if it only has to wait."""
    found = _EXCEEDED.search(message)
    if found is None:
        return ""
    requested, limited = _amounts(found[2]), _amounts(found[4])
    return ", ".join(
        f"{name} {requested[name]} of {limited[name]}"
        for name in requested.keys() & limited.keys()
        if (parse_quantity(requested[name]) or 0.0) > (parse_quantity(limited[name]) or float("inf"))
    )


def _amounts(words: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in words.split(","))
    return {name.strip(): amount.strip() for name, _, amount in pairs}
