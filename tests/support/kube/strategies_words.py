"""Words that settings of Kubernetes hold: as they should be, and as a slip leaves them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_ODD = "\n\t\x00 .-_/:$()@#%AZaz09é—😀"
TEXTS = st.one_of(st.text(max_size=40), st.text(_ODD, max_size=300))
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAMES = st.one_of(
    st.lists(LABELS, min_size=1, max_size=3).map(".".join),
    st.sampled_from(("a" * 63, ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61]), "e" * 253)),
)
_PLAIN = st.one_of(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?", fullmatch=True), st.just("x" * 63))
LABEL_KEYS = st.one_of(_PLAIN, st.builds(lambda prefix, name: f"{prefix}/{name}", NAMES, _PLAIN))
LABEL_VALUES = st.one_of(_PLAIN, st.just(""))
LABEL_MAPS = st.dictionaries(LABEL_KEYS, LABEL_VALUES, max_size=3)
ANNOTATIONS = st.dictionaries(LABEL_KEYS, st.text(max_size=50), max_size=3)
VARIABLES = st.sampled_from(
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "FMDJ_STORAGE__S3__ACCESS_KEY_ID", "HTTPS_PROXY", "lab_x")
)
_KEYS = st.from_regex(r"[A-Za-z0-9_][-._A-Za-z0-9]{0,10}", fullmatch=True)
REFERENCES = st.builds(lambda secret, key: f"{secret}/{key}", NAMES, _KEYS)
FOLDERS = st.lists(st.from_regex(r"[A-Za-z0-9_ +$-]{1,10}", fullmatch=True), min_size=1, max_size=3).map("/".join)
IDS = st.integers(1, 2**31 - 1)


_SPOILED = (
    lambda text: f" {text}",
    lambda text: f"{text} ",
    lambda text: f"{text}\n",
    lambda text: f"-{text}",
    lambda text: f"{text}.",
    lambda text: f"{text}..{text}",
    lambda text: f"{text}.-{text}",
    lambda text: f"{text}/{text}",
    lambda text: f"{text}_é",
    lambda text: text.upper(),
    lambda text: text * 64,
)


def odd_text(good: SearchStrategy[str]) -> SearchStrategy[str]:
    """Something good that a slip has spoiled, or any text."""

    def exchange(text: str, index: int, character: str, length: int) -> str:
        at = index % (len(text) + 1)
        return text[:at] + character + text[at + length :]

    slipped = st.builds(lambda text, slip: slip(text), good, st.sampled_from(_SPOILED))
    exchanged = st.builds(exchange, good, st.integers(0, 300), st.sampled_from(_ODD), st.integers(0, 1))
    return st.one_of(slipped, exchanged, TEXTS)
