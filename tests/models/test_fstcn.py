"""FstCN: what the shared layers see, and what the two paths do."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream import training
from keras_twostream.errors import SpecError
from keras_twostream.models import _fstcn as fstcn

pytestmark = pytest.mark.portable

SMALL = {"clip_length": 3, "clip_spec": {"crop": (76, 76)}}


@pytest.fixture(scope="module")
def model():
    return kts.models.fstcn(4, **SMALL)


@pytest.fixture(scope="module")
def clip():
    shape = (1, 3, 76, 76, 6)
    return np.random.default_rng(0).integers(0, 256, shape).astype("uint8")


def tap(model, name, clip):
    net = keras.Model(model.inputs, model.get_layer(name).output)
    return net.predict_on_batch({"rgb": clip})


@pytest.mark.agnostic
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


@pytest.mark.agnostic
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
    plain = kts.models.fstcn(4, permutation=False, **SMALL)
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


def test_an_unknown_transformation_is_refused():
    with pytest.raises(SpecError, match="must be one of line, plane"):
        kts.models.fstcn(transformation="volume")


def convolved(plane, kernel, bias):
    """A 2-D convolution of (rows, columns, inputs) with zeros around it."""
    rows, columns, _ = plane.shape
    size, _, _, filters = kernel.shape
    out = np.tile(bias, (rows, columns, 1)).astype("float64")
    for row, column, i, j, n in np.ndindex(rows, columns, size, size, filters):
        y, x = row + i - size // 2, column + j - size // 2
        if 0 <= y < rows and 0 <= x < columns:
            out[row, column, n] += plane[y, x] @ kernel[i, j, :, n]
    return out


@pytest.mark.agnostic
def test_the_plane_is_of_time_and_channels():
    steps, height, width, channels = 2, 1, 3, 4
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, steps, height, width, channels))
    frames = keras.Input((height, width, channels))
    net = keras.Model(
        frames,
        fstcn._temporal(frames, steps, "plane", True, dropout=0.5),
    )
    values = [rng.normal(size=w.shape) for w in net.get_weights()]
    net.set_weights(values)
    matrix, three, bias3, five, bias5 = values
    assert three.shape == (3, 3, height * width, 32)
    out = net.predict_on_batch(maps.reshape(-1, height, width, channels))
    for clip, result in zip(maps, out, strict=True):
        mixed = clip.reshape(steps, height * width, channels) @ matrix
        plane = np.moveaxis(mixed, 2, 1)
        expected = [
            np.maximum(convolved(plane, kernel, bias), 0)
            for kernel, bias in ((three, bias3), (five, bias5))
        ]
        np.testing.assert_allclose(
            result, np.concatenate(expected, -1), rtol=1e-4, atol=1e-4
        )


@pytest.mark.agnostic
def test_the_line_runs_through_time_at_each_position():
    steps, height, width, channels = 4, 2, 3, 5
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, steps, height, width, channels))
    frames = keras.Input((height, width, channels))
    net = keras.Model(
        frames, fstcn._temporal(frames, steps, "line", False, dropout=0.5)
    )
    values = [rng.normal(size=w.shape) for w in net.get_weights()]
    net.set_weights(values)
    out = net.predict_on_batch(maps.reshape(-1, height, width, channels))
    branches = []
    for kernel, bias in (values[:2], values[2:]):
        reach = len(kernel) // 2
        padded = np.pad(maps, [(0, 0), (reach, reach), *[(0, 0)] * 3])
        taps = [
            padded[:, tap : tap + steps] @ kernel[tap, 0, 0]
            for tap in range(len(kernel))
        ]
        branches.append(np.maximum(sum(taps) + bias, 0))
    assert min(branch.min() for branch in branches) == 0
    np.testing.assert_allclose(
        out, np.concatenate(branches, -1), rtol=1e-4, atol=1e-4
    )


@pytest.mark.agnostic
@pytest.mark.parametrize("name", ["rgb_SCL1_norm", "rgb_SCL2_norm"])
def test_responses_are_normalised_by_five_channels(model, name):
    norm = model.get_layer(name)
    x = np.full((1, 1, 1, 9), 100.0, "float32")
    out = keras.ops.convert_to_numpy(norm(x))[0, 0, 0]
    alpha = 5e-4 / 5
    inner = 100 / (2 + alpha * 5 * 100**2) ** 0.75
    ends = [100 / (2 + alpha * n * 100**2) ** 0.75 for n in (3, 4)]
    np.testing.assert_allclose(out[2:-2], inner, rtol=1e-5)
    np.testing.assert_allclose(out[:2], ends, rtol=1e-5)


def test_the_permutation_starts_as_the_identity(model):
    (matrix,) = model.get_layer("rgb_temporal_P").get_weights()
    np.testing.assert_array_equal(matrix, np.eye(128))


@pytest.mark.agnostic
def test_the_auxiliary_network_scores_each_frame():
    net = kts.models.fstcn(4, auxiliary=True, clip_spec={"crop": (76, 76)})
    spec = kts.clip_spec(net)
    assert (spec.span(), spec.channels("rgb")) == (1, 3)
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 76, 76, 3))
    whole = net.predict_on_batch({"rgb": frames.astype("uint8")})
    features = tap(net, "rgb_spatial_fc2", frames)
    kernel, bias = net.get_layer("rgb_auxiliary_fc").get_weights()
    np.testing.assert_allclose(whole, features @ kernel + bias, atol=1e-4)


def test_the_whole_network_starts_from_the_auxiliary_one(model):
    net = kts.models.fstcn(4, auxiliary=True, clip_spec={"crop": (76, 76)})
    target = kts.models.fstcn(4, **SMALL)
    copied = training.copy_stream(net, target, "rgb")
    spatial = ["SCL1", "SCL2", "SCL3", "SCL4"]
    spatial += ["spatial_conv", "spatial_fc1", "spatial_fc2"]
    assert copied == [f"rgb_{name}" for name in spatial]


def test_the_recipe_has_the_three_stages_of_the_paper():
    stages = training.load_recipe("fstcn").staged()
    options = {"clip_spec": {"crop": (76, 76)}, **stages[0].options}
    net = kts.models.fstcn(4, **options)
    trained = []
    for stage in stages:
        if not stage.options["auxiliary"]:
            before = net.get_layer("rgb_spatial_conv").get_weights()[0]
            net = training.next_stage(net, stage.options, stage.spec)
        training.compile(net, stage, steps=1)
        trained.append([x.name for x in net.layers if x.trainable_weights])
    assert len(trained[0]) == 8  # SCL1 to SCL4, and the path with its head
    last = ["rgb_spatial_fc1", "rgb_spatial_fc2", "rgb_auxiliary_fc"]
    assert trained[1] == last
    assert set(trained[2]) == {x.name for x in net.layers if x.weights}
    assert kts.clip_spec(net).span() == 4 * 5 + 9 + 1
    after = net.get_layer("rgb_spatial_conv").get_weights()[0]
    np.testing.assert_array_equal(before, after)
