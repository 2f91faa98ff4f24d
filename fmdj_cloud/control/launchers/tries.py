"""When a shard that failed is computed again in its Job, and when that is over: alike for every launcher."""

from __future__ import annotations

FINAL = tuple(range(10, 30))
"""Exit codes of input, settings, and inputs that were replaced: no other try would change it, the Job ends."""
LACKING = (*range(50, 61), 137)
"""Exit codes of memory, disk and time: only an attempt with more would change it, the shard has failed.

137 is how the kernel ends what has no memory left.
"""


def failed_max(shards: int) -> int:
    """Return how many shards may fail while the others go on.

    What hits one machine or one file lets the other shards finish; what hits every fourth would hit them all.
    """
    return max(1, shards // 4)
