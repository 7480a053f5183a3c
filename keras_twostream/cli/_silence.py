"""Silence of TensorFlow while it is imported, whichever command brings it.

TensorFlow's C++ writes of its build and of absent GPUs before it has read its
log level, so that standard error is closed for as long as the import lasts.
"""

from keras_twostream._loaders import surround
from keras_twostream.cli import _console


def install() -> None:
    """Wait for TensorFlow's import, unless it has been imported."""
    surround("tensorflow", lambda name: _console.quiet())
