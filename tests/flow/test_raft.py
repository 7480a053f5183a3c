"""RAFT's parts against plain loops, and what its layer promises.

That the whole is torchvision's network is shown in `tests/peers`.
"""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from small_raft import SMALL_RAFT

from keras_twostream import _acceleration, flow
from keras_twostream.errors import SpecError, UnknownNameError, WeightsError
from keras_twostream.flow import _raft, _raft_encoder, _raft_pairs, _weights
from keras_twostream.pretrained import _flow_networks, _maintenance

UPDATES = 2


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


# === Parts ===


def bilinear(image, x, y):
    """A scalar's loop over the four neighbours; zero outside."""
    total = 0.0
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for column in (int(np.floor(x)), int(np.floor(x)) + 1):
            inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            total += weight * image[row, column] if inside else 0.0
    return total


def test_coarse_correlations_are_means_of_fine_ones():
    first, second = random(2, 8, 9, 16), random(2, 8, 9, 16, seed=1)
    pyramid = [numpy(p) for p in _raft.correlation_pyramid(first, second)]
    every = np.einsum("bijc,bklc->bijkl", first, second) / 4
    fine = every.reshape(2, 72, 8, 9)
    np.testing.assert_allclose(pyramid[0], fine, atol=1e-5)
    even = fine[..., :8].reshape(2, 72, 4, 2, 4, 2)
    np.testing.assert_allclose(pyramid[1], even.mean(axis=(3, 5)), atol=1e-5)
    assert pyramid[-1].shape == (2, 72, 1, 1)


@settings(max_examples=15)
@given(
    hnp.arrays(np.float32, (1, 2, 2, 2), elements=st.floats(-8, 14, width=16))
)
def test_correlations_are_looked_up_around_each_point(points):
    """The order is level, x, y, which torchvision's weights expect."""
    pyramid = [random(1, 4, 6, 7), random(1, 4, 3, 3, seed=1)]
    seen = numpy(_raft.look_up(pyramid, points, 1)).reshape(4, 2, 3, 3)
    for place, (x, y) in enumerate(points.reshape(4, 2)):
        for level, volume in enumerate(pyramid):
            wanted = [
                [
                    bilinear(
                        volume[0, place], x / 2**level + i, y / 2**level + j
                    )
                    for j in (-1, 0, 1)
                ]
                for i in (-1, 0, 1)
            ]
            np.testing.assert_allclose(seen[place, level], wanted, atol=1e-5)


def test_enlarging_keeps_the_corners():
    small = random(1, 3, 4, 2)
    large = numpy(_raft.enlarge(small))
    assert large.shape == (1, 24, 32, 2)
    corners = np.ix_([0], [0, 23], [0, 31], [0, 1])
    np.testing.assert_allclose(
        large[corners], 8 * small[:, ::2, ::3], atol=1e-4
    )
    rows = 8 * np.linspace(small[0, 0, 0, 0], small[0, 1, 0, 0], 24)
    assert large[0, :3, 0, 0] == pytest.approx(rows[[0, 2, 4]], abs=1e-4)


def test_every_pixel_is_a_convex_combination_of_its_neighbours():
    small, mask = random(1, 2, 3, 2), random(1, 2, 3, 9 * 64, seed=1)
    large = numpy(_raft.enlarge_convex(small, mask))
    padded = np.pad(8 * small[0], [(1, 1), (1, 1), (0, 0)])
    for row, column in [(0, 0), (7, 9), (13, 23)]:
        place = row // 8, column // 8
        logits = mask[0][place].reshape(9, 8, 8)[:, row % 8, column % 8]
        weights = np.exp(logits) / np.exp(logits).sum()
        around = padded[place[0] : place[0] + 3, place[1] : place[1] + 3]
        np.testing.assert_allclose(
            large[0, row, column], weights @ around.reshape(9, 2), atol=1e-4
        )


# === The layer ===


@pytest.fixture
def few_channels(monkeypatch):
    monkeypatch.setitem(_raft_encoder.SIZES, "raft_small", SMALL_RAFT)


@pytest.mark.agnostic
def test_the_layer_gives_fields_of_clips_and_saves(few_channels, tmp_path):
    frames = np.random.default_rng(0).integers(0, 256, (1, 3, 40, 50, 3))
    inputs = keras.Input((3, None, None, 3))
    layer = flow.RAFT(pairs=[[0, 1], [2, 1]], updates=UPDATES, weights=None)
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, 2, None, None, 2)
    fields = model.predict_on_batch(frames)
    assert fields.shape == (1, 2, 40, 50, 2) and np.ptp(fields) > 0.1
    model.save(tmp_path / "flow.keras")
    again = keras.models.load_model(tmp_path / "flow.keras")
    np.testing.assert_allclose(
        again.predict_on_batch(frames), fields, rtol=1e-3, atol=1e-3
    )


@pytest.mark.agnostic
@pytest.mark.skipif(
    keras.backend.backend() == "torch",
    reason="PyTorch 2.13 dies in its backward pass if another test ran before",
)
@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow" and _acceleration._onednn_is_on(),
    reason="TensorFlow 2.21's oneDNN dies in RAFT's backward pass; "
    ".ci/full runs this without oneDNN",
)
def test_flow_can_be_learned_through(few_channels):
    """Frames get a gradient; the flow head learns, compiled too."""
    inputs = keras.Input((2, 24, 24, 1))
    gain = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    layer = flow.RAFT(updates=UPDATES, weights=None)
    model = keras.Model(inputs, layer(gain(inputs)))
    model.compile(keras.optimizers.SGD(1e-3), loss="mse")
    before = layer.by_key()["update_block_flow_head_conv2.kernel"].numpy()
    clip = np.random.default_rng(0).uniform(0, 255, (1, 2, 24, 24, 1))
    model.train_on_batch(clip, np.zeros((1, 1, 24, 24, 2), "float32"))
    after = layer.by_key()["update_block_flow_head_conv2.kernel"].numpy()
    assert np.isfinite(after).all() and not np.array_equal(before, after)
    (kernel,) = gain.get_weights()
    assert np.isfinite(kernel).all() and kernel.item() != 1


def test_grey_frames_are_colourless_ones(few_channels):
    grey = np.random.default_rng(0).integers(0, 256, (1, 2, 32, 32, 1))
    layer = flow.RAFT(updates=1, weights=None, dtype="mixed_bfloat16")
    fields = layer(grey)
    assert keras.backend.standardize_dtype(fields.dtype) == "float32"
    np.testing.assert_allclose(
        numpy(fields), numpy(layer(np.repeat(grey, 3, -1))), atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": "raft_smal"}, "raft_small, raft_large.*mean raft_small"),
        ({"updates": 0}, "whole number, 1 or more.*updates=0"),
        ({"updates": 2.5}, "whole number, 1 or more.*updates=2.5"),
        ({"pairs": [[0, 1, 2]]}, "list of frame numbers"),
    ],
)
def test_the_layer_refuses_wrong_arguments(arguments, message):
    with pytest.raises(SpecError, match=message):
        flow.RAFT(**{"weights": None, **arguments})


def test_clips_must_have_the_frames_of_the_pairs():
    layer = flow.RAFT(pairs=[[0, 5]], weights=None)
    with pytest.raises(SpecError, match=r"RAFT's pairs reach frame 5.*T=3"):
        layer(keras.Input((3, 20, 20, 3)))


# === Weights ===


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("KERAS_TWOSTREAM_HOME", str(tmp_path))
    return tmp_path


def test_without_a_network_it_is_said_where_the_weights_are(offline):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    with pytest.raises(
        WeightsError,
        match=r"raft_small_C_T_V2-01064c6d\.pth is not in the cache[^$]*"
        r"weights='path/to/raft_small_C_T_V2-01064c6d\.pth'",
    ):
        flow.compute(frames, "raft_small")


def test_a_file_that_is_not_the_published_one_is_refused(offline):
    file = offline / "raft_small_C_T_V2-01064c6d.pth"
    file.write_bytes(b"something else")
    with pytest.raises(WeightsError, match=r"not the file.*\n.*01064c6d"):
        flow.RAFT(weights=str(file))


def test_a_file_that_was_written_anew_is_read_anew(
    few_channels, monkeypatch, tmp_path
):
    file, seen = tmp_path / "own.pth", []
    monkeypatch.setattr(_weights, "_fills", [])
    _weights.fill_with(lambda *given: seen.append(file.read_text()))
    for text in ("one", "one", "another"):
        if text not in seen:
            file.write_text(text)
        _raft_pairs.fetch("raft_small", weights=str(file))
    assert seen == ["one", "another"]


@pytest.mark.parametrize("weights", ["raft_large.c_t_skht_v2", "c_t_v3"])
def test_unknown_weights_are_refused(weights):
    with pytest.raises(
        UnknownNameError, match=f"no weights named '{weights}'.*raft_small.c_t"
    ):
        flow.RAFT(weights=weights)


def test_both_networks_have_weights_to_pull(monkeypatch):
    pulled = []
    monkeypatch.setattr(
        _maintenance._sources,
        "local_files",
        lambda spec, **_: pulled.append(spec.url),
    )
    for name in _raft_encoder.SIZES:
        assert _flow_networks.flow_weight(name).default
        _maintenance.pull(name)
    folder = "https://download.pytorch.org/models"
    assert pulled == [
        f"{folder}/raft_small_C_T_V2-01064c6d.pth",
        f"{folder}/raft_large_C_T_SKHT_V2-ff5fadd5.pth",
    ]


def test_keys_of_another_network_are_refused():
    with pytest.raises(WeightsError, match=r"layer1\.0\.conv1.*RAFT"):
        _flow_networks._convert.canonical(
            {"layer1.0.conv1.weight": np.zeros((1, 1, 1, 1))}, "raft"
        )
