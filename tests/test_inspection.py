"""What a model answers, and what it says to a wrong question."""

import pytest
from small_model import small_model

import keras_twostream as kts
from keras_twostream import inspection
from keras_twostream.errors import SpecError, UnknownNameError


@pytest.fixture(scope="module")
def model():
    return small_model()


def test_taps_come_by_the_names_that_are_listed(model):
    assert "rgb.pool" in inspection.tap_names(model)
    assert list(kts.taps(model, ["rgb.pool"]).output) == ["rgb.pool"]


def test_an_unknown_tap_brings_the_nearest(model):
    with pytest.raises(
        UnknownNameError, match=r"'rgb\.pol'. Did you mean rgb\.pool"
    ):
        kts.taps(model, ["rgb.pol"])


def test_one_tap_must_be_in_a_list(model):
    with pytest.raises(SpecError, match=r"a list: \['rgb\.pool'\]"):
        kts.taps(model, "rgb.pool")


def test_each_data_set_has_heads_of_its_own():
    model = small_model(heads={"ucf101": 4, "hmdb51": 2})
    assert inspection.head_layers(model) == {
        f"{stream}_fc_{data_set}"
        for stream in ("rgb", "flow")
        for data_set in ("ucf101", "hmdb51")
    }


def test_transformations_are_a_head():
    model = kts.models.action_transformation(
        3,
        streams=("flow",),
        flow_length=1,
        clip_length=2,
        embedding=4,
        clip_spec={"crop": (32, 32)},
    )
    assert inspection.head_layers(model) == {"flow_transformation"}
