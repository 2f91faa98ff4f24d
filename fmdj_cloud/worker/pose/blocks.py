"""Where the frames of a pose run may be cut."""

from __future__ import annotations

POSE_BLOCK = 32
"""Frames on whose multiples shards of a pose run end. Batches of a shard are those of the whole file, wherever it
begins, so that it only bounds how uneven shards are."""
