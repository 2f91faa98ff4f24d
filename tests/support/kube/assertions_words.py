"""Names, quantities and the like, as the API server judges them: written anew, so that no mistake is made twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_QUANTITY = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)
_FACTORS = {
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{letter: Decimal(1000) ** -power for power, letter in enumerate("mun", 1)},
}


def is_subdomain(text: Any) -> bool:
    """Tell whether `text` may name most objects."""
    return isinstance(text, str) and len(text) <= 253 and bool(_SUBDOMAIN.fullmatch(text))


def is_dns_label(text: Any) -> bool:
    """Tell whether `text` may name containers and volumes."""
    return isinstance(text, str) and len(text) <= 63 and bool(_LABEL.fullmatch(text))


def is_qualified(text: Any) -> bool:
    """Tell whether `text` may name a label: ``[prefix/]name``."""
    if not isinstance(text, str) or text.count("/") > 1:
        return False
    prefix, slash, name = text.rpartition("/")
    if slash and not is_subdomain(prefix):
        return False
    return len(name) <= 63 and bool(_QUALIFIED.fullmatch(name))


def is_label_value(text: Any) -> bool:
    """Tell whether `text` may be a label's value."""
    return isinstance(text, str) and len(text) <= 63 and (text == "" or bool(_QUALIFIED.fullmatch(text)))


def is_secret_key(text: Any) -> bool:
    """Tell whether `text` may be a key of a Secret or ConfigMap."""
    good = isinstance(text, str) and len(text) <= 253 and bool(re.fullmatch(r"[-._a-zA-Z0-9]+", text))
    return good and text != "." and not text.startswith("..")


def quantity(text: Any) -> Decimal | None:
    """Return the value of a quantity, None if it is none or too large to be kept."""
    match = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    sign, number, suffix = match.groups()
    factor = _FACTORS.get(suffix or "", Decimal(1))
    if suffix and suffix not in _FACTORS:
        factor = Decimal(10) ** int(suffix[1:])
    value = Decimal(number) * factor * (-1 if sign == "-" else 1)
    return value if abs(value) <= MAX_INT64 else None


def label_problems(where: str, labels: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with labels."""
    for name, value in labels.items():
        if not is_qualified(name):
            yield f"{where}: {name!r} names no label"
        if not is_label_value(value):
            yield f"{where}: {name}={value!r} is no label's value"


def annotation_problems(where: str, annotations: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with annotations."""
    for name, value in annotations.items():
        if not is_qualified(name.lower()):
            yield f"{where}: {name!r} names no annotation"
        if not isinstance(value, str):
            yield f"{where}: {name} is no text"
    if sum(len(name.encode()) + len(str(value).encode()) for name, value in annotations.items()) > 256 * 1024:
        yield f"{where}: annotations are larger than 256 KiB"


def expanded(text: str, values: Mapping[str, str]) -> str:
    """Return what a container gets for `text` in ``args`` or ``env``: ``$(NAME)`` replaced, ``$$`` as ``$``."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return values.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)
