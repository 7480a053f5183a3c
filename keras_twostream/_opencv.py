"""The one place that imports OpenCV, so that its absence is explained.

Everything else says `from keras_twostream._opencv import cv2`.
"""

import importlib
from types import ModuleType

from keras_twostream.errors import MissingLibraryError


def import_opencv() -> ModuleType:
    """Import OpenCV's module and return it.

    Raises:
        MissingLibraryError: If OpenCV, or a system library behind it, is
            not installed; the message says what to install.
    """
    try:
        return importlib.import_module("cv2")
    except ModuleNotFoundError as error:
        raise MissingLibraryError(
            "Reading video and computing optical flow need OpenCV, which is "
            f"not installed ({error}). Install it with: "
            "pip install opencv-python"
        ) from error
    except ImportError as error:
        raise MissingLibraryError(
            "OpenCV is installed, but a library it needs could not be "
            f"loaded: {error}. On Debian or Ubuntu install it with: "
            "apt-get install libgl1 libglib2.0-0. On a machine without a "
            "screen, opencv-python-headless needs neither: pip uninstall "
            "opencv-python && pip install opencv-python-headless"
        ) from error


cv2 = import_opencv()
