"""FstCN: what the shared layers see, and what the two paths do."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.errors import SpecError

pytestmark = pytest.mark.agnostic

SMALL = {"clip_length": 3, "clip_spec": {"crop": (76, 76)}}


@pytest.fixture(scope="module")
def model():
    return kts.models.fstcn(4, permutation=True, **SMALL)


@pytest.fixture(scope="module")
def clip():
    shape = (1, 3, 76, 76, 6)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def tap(model, name, clip):
    net = keras.Model(model.inputs, model.get_layer(name).output)
    return net.predict_on_batch({"rgb": clip})


def test_the_shared_layers_see_a_frame_and_absolute_differences(model, clip):
    seen = tap(model, "rgb_frame_and_differences", clip)
    std = np.array([0.229, 0.224, 0.225])
    mean = np.array([0.485, 0.456, 0.406])
    frames = clip / 255.0
    changes = abs(frames[..., 3:] - frames[..., :3]) / std
    middle = (frames[:, 1:2, ..., :3] - mean) / std
    expected = np.concatenate([middle, changes], axis=1)
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_differences_span_nine_frames_at_steps_of_five(model):
    spec = kts.clip_spec(model)
    np.testing.assert_array_equal(
        spec.rgb_frames(), [[0, 9], [5, 14], [10, 19]]
    )


def test_spatial_layers_exist_once(model):
    layers = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert sorted(layer.name for layer in layers) == [
        "rgb_SCL1",
        "rgb_SCL2",
        "rgb_SCL3",
        "rgb_SCL4",
        "rgb_spatial_conv",
        "rgb_temporal_conv",
    ]


def test_a_still_clip_moves_nothing(model, clip):
    still = clip.copy()
    still[..., 3:] = still[..., :3]
    differences = tap(model, "rgb_differences", still)
    np.testing.assert_allclose(differences, 0.0, atol=1e-5)


def test_temporal_layers_never_mix_positions(model):
    for size in (3, 5):
        kernel = model.get_layer(f"rgb_TCL_{size}").kernel
        assert kernel.shape == (size, 1, 1, 128, 32)


def test_the_permutation_is_one_matrix_more(model):
    plain = kts.models.fstcn(4, **SMALL)
    assert model.count_params() - plain.count_params() == 128 * 128


def test_sizes_at_204_pixels(model):
    sizes, shape = {}, (None, 204, 204, 3)
    names = [layer.name for layer in model.layers]
    first, last = names.index("rgb_fold") + 1, names.index("rgb_SCL4") + 1
    for layer in model.layers[first:last]:
        shape = sizes[layer.name] = layer.compute_output_shape(shape)
    assert sizes["rgb_SCL1"][1:] == (102, 102, 96)
    assert sizes["rgb_SCL1_pool"][1:] == (50, 50, 96)
    assert sizes["rgb_SCL2"][1:] == (25, 25, 256)
    assert sizes["rgb_SCL4"][1:] == (12, 12, 512)


def test_flow_and_single_frames_are_refused():
    with pytest.raises(SpecError, match="must be rgb alone"):
        kts.models.fstcn(streams=("flow",))
    with pytest.raises(SpecError, match="frames_per_step must be 2 or more"):
        kts.models.fstcn(clip_spec={"frames_per_step": 1})
