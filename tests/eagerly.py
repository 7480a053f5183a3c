"""Steps that run as they are written, where tracing them takes longer."""

import contextlib


@contextlib.contextmanager
def eagerly():
    """TensorFlow runs functions without tracing them; others are as ever."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
