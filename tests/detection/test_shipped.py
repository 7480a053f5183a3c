"""The detector that ships: small, loads offline, says what it is."""

import numpy as np

import keras_twostream as kts
from keras_twostream import actors, inspection, pretrained

NAME = "action_tubes.actors"


def test_the_shipped_detector_loads_and_scores_regions():
    (spec,) = (x for x in pretrained.list_weights() if x.name == NAME)
    assert spec.size <= 10 * 2**20
    assert {row["name"] for row in spec.metrics} >= {"frame-AP", "video-AP"}
    model = kts.load(NAME)
    assert inspection.class_names(model) == list(actors.COMPANY_CLASSES)
    clip = kts.clip_spec(model)
    region = {
        "rgb": np.zeros((1, 1, *clip.crop, 3), "float32"),
        "flow": np.zeros((1, 1, *clip.crop, 2), "float32"),
    }
    assert np.isfinite(np.asarray(model.predict_on_batch(region))).all()
