"""Clips: which frames a video gives, and how they are cropped and changed."""
