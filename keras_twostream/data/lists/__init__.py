"""Annotation lists: from a file, a folder or a data set to labelled items."""
