"""Two-stream VGG-16: the authors' dropout, names and sizes."""

import keras
import pytest

import keras_twostream as kts
from keras_twostream.models import _two_stream_vgg16
from keras_twostream.models.backbones import vgg

pytestmark = pytest.mark.portable


@pytest.fixture(scope="module")
def model():
    return kts.models.two_stream_vgg16(
        3, streams=("flow",), flow_length=2, clip_spec={"crop": (32, 32)}
    )


def test_the_sizes_are_the_paper_s():
    x = keras.Input((224, 224, 3))
    sides = {}
    for name, step in vgg.steps("rgb", (0.9, 0.9), (224, 224)).items():
        if name == "fc6":
            break
        x = step(x)
        sides[name] = x.shape[1:]
    assert sides["conv1_2"] == (224, 224, 64)
    assert sides["conv3_3"] == (56, 56, 256)
    assert sides["conv5_3"] == (14, 14, 512)
    assert sides["pool5"] == (7, 7, 512)
    assert sum(name.startswith("conv") for name in sides) == 13


def test_the_temporal_net_drops_less_after_fc7(model):
    rates = [
        model.get_layer(f"flow_{name}_dropout").rate for name in ("fc6", "fc7")
    ]
    assert rates == [0.9, 0.8]


def test_motion_counts_twice():
    assert _two_stream_vgg16.SPEC.stream_weights == (1, 2)


def test_fc6_reads_rows_then_columns_then_channels(model):
    assert model.get_layer("flow_fc6").kernel.shape == (512, 4096)
    assert model.get_layer("flow_fc8").kernel.shape == (4096, 3)
