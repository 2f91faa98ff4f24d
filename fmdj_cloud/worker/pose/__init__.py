"""Pose inference: Facemap's network and files, with reading, batching and arithmetic around them of our own."""
