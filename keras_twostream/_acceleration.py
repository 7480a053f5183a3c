"""Settings that make a backend fast, chosen before it is imported.

TensorFlow switches oneDNN on by itself only on processors with the newest
instructions; on others it is worth a factor of 1.2 to 2.4, and has to be
asked for before TensorFlow is imported.
"""

import os
import sys
import warnings

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"


def prefer_fast() -> None:
    """Ask for oneDNN, where TensorFlow and the user have left it open.

    A variable that the user has set is never changed, and nothing is changed
    once TensorFlow is imported.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault(ONEDNN, "1")


def left_out() -> str | None:
    """Return the reason why this program is slower than need be, or None."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return None
    if "tensorflow" not in sys.modules or ONEDNN in os.environ:
        return None
    if _onednn_is_on() or has_gpu():
        return None
    return (
        "TensorFlow was imported before keras_twostream and runs without "
        "oneDNN, which makes networks on a CPU 1.2 to 2.4 times slower. Set "
        f"{ONEDNN}=1 in the environment, or import keras_twostream and use "
        "it before TensorFlow and Keras are imported."
    )


def notice() -> None:
    """Warn once in a process of a faster setting that was left out."""
    global _noticed
    message = None if _noticed else left_out()
    _noticed = True
    if message is not None:
        warnings.warn(message, stacklevel=3)


_noticed = False


def _onednn_is_on() -> bool:
    try:
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:  # a private name of TensorFlow, which may go
        return True
    return bool(_pywrap_util_port.IsMklEnabled())


def has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))
