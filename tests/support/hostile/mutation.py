"""Real bytes, spoilt in a way that a seed decides."""

from __future__ import annotations

import random

_EDGES = (b"\0" * 8, b"\xff" * 8, *(number.to_bytes(8, "little") for number in (1, 2**31, 2**40, 2**63 - 1)))
_LONGEST_SPLICE = 64


def mutated(data: bytes, seed: int) -> bytes:
    """Return bytes with up to eight of: a flipped bit, an extreme number, a splice, foreign bytes, a cut."""
    rng = random.Random(seed)
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 8))):
        _spoil(spoilt, rng)
    return bytes(spoilt)


def _spoil(data: bytearray, rng: random.Random) -> None:
    at, kind = rng.randrange(len(data) or 1), rng.random()
    if not data:
        return
    if kind < 0.5:
        data[at] ^= 1 << rng.randrange(8)
    elif kind < 0.7:
        data[at : at + 8] = rng.choice(_EDGES)
    elif kind < 0.85:
        start, length = rng.randrange(len(data)), rng.randrange(1, _LONGEST_SPLICE)
        data[at : at + length] = data[start : start + length]
    elif kind < 0.95:
        data[at : at + rng.randrange(9)] = rng.randbytes(rng.randrange(9))
    else:
        del data[at:]
