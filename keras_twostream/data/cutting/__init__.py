"""Clips of a video: their frames, crops and augmentation."""
