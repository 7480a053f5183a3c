"""A few actors on disk, and a tiny detector trained on them."""

import pytest
from eagerly import eagerly
from tiny_detector import CLASSES, trained

from keras_twostream import actors
from keras_twostream.detection import read_boxes


@pytest.fixture(autouse=True)
def _quick(untraced):
    """TensorFlow traces a network for longer than it runs it here."""


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
    with eagerly():
        return trained(company, run_folder)


@pytest.fixture
def detector(_detector):
    return _detector
