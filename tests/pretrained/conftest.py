"""A small trained-looking network and its folder, for the weight tests."""

import pytest
from small_net import CLASSES, OPTIONS, randomize

from keras_twostream import hub, inspection, models


@pytest.fixture(scope="session")
def trained():
    """A small ST-ResNet that says it was trained."""
    model = models.spatiotemporal_resnet(3, **OPTIONS)
    randomize(model)
    inspection.update_card(model, classes=CLASSES, head_trained=True)
    return model


@pytest.fixture(scope="session")
def folder(trained, tmp_path_factory):
    """The folder that `trained` was saved to."""
    path = tmp_path_factory.mktemp("weights") / "net"
    return hub.save_pretrained(
        trained, path, license="mit", data_terms="drawn by the test"
    )
