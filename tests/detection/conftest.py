"""A few actors on disk, and a tiny detector trained on them."""

import keras
import pytest
from tiny_detector import CLASSES, trained

from keras_twostream import actors
from keras_twostream.detection import read_boxes


@pytest.fixture(autouse=True)
def _quick():
    """TensorFlow traces a network for longer than it runs it here."""
    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def company(tmp_path_factory):
    """Three annotated videos of two people."""
    place = actors.generate_company(
        tmp_path_factory.mktemp("company"),
        3,
        classes=CLASSES,
        people=(2, 2),
        size=(64, 96),
    )
    return read_boxes(place)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tubes_run")


@pytest.fixture(scope="session")
def _detector(company, run_folder):
    if keras.backend.backend() != "tensorflow":
        return trained(company, run_folder)
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        return trained(company, run_folder)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def detector(_detector):
    return _detector
