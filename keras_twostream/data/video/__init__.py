"""Video files: packets, frames, sizes and encoders."""

READER_VERSION = 2
"""Counts up when videos are read otherwise; caches record it.

1: the i-th smallest stamp was taken for the i-th frame, pixels for square,
the first stream for the best, and mirrors were not applied.
"""
