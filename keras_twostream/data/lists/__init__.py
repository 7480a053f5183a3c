"""Annotation lists: labelled items of a file, a folder or a data set."""
