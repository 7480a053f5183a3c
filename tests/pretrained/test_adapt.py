"""From images to video: the response of each adapted kernel."""

import numpy as np
import pytest
from keras import ops

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _adapt, cross_modality, inflate

RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(3, 3, 3, 5))


def response(kernel, clip):
    """Valid correlation of one window: (T, H, W, C) -> (outputs,)."""
    return np.tensordot(clip, kernel, axes=clip.ndim)


@pytest.mark.parametrize("how", ["average", "centre"])
def test_a_static_clip_gives_the_image_response(how):
    frame = RNG.normal(size=(3, 3, 3))
    inflated = inflate(KERNEL, 5, how)
    np.testing.assert_allclose(
        response(inflated, np.stack([frame] * 5)), response(KERNEL, frame)
    )


def test_the_centre_sees_one_frame_only():
    inflated = inflate(KERNEL, 3, "centre")
    assert not inflated[0].any()
    assert not inflated[2].any()
    np.testing.assert_array_equal(inflated[1], KERNEL)


@pytest.mark.parametrize("time", [2, 3, 4, 5])
def test_the_centre_is_the_frame_itself_however_many_taps(time):
    clip = RNG.normal(size=(1, 6, 3, 3, 3)).astype("float32")
    kernel = inflate(KERNEL.astype("float32"), time, "centre")
    # "valid" in space, and what "same" puts before and after in time.
    before = (time - 1) // 2
    pads = [(0, 0), (before, time - 1 - before), (0, 0), (0, 0), (0, 0)]
    seen = ops.conv(np.pad(clip, pads), kernel, data_format="channels_last")
    frames = [response(KERNEL, frame) for frame in clip[0]]
    np.testing.assert_allclose(
        ops.convert_to_numpy(seen)[0, :, 0, 0], frames, rtol=1e-4, atol=1e-4
    )


def test_the_identity_changes_nothing():
    inflated = inflate(np.zeros((1, 1, 4, 4)), 3, "identity")
    clip = RNG.normal(size=(3, 1, 1, 4))
    np.testing.assert_allclose(response(inflated, clip), clip[1, 0, 0])


def test_mean_ignores_which_colour():
    crossed = cross_modality(KERNEL, 20)
    assert crossed.shape == (3, 3, 20, 5)
    np.testing.assert_allclose(crossed[:, :, 7], KERNEL.mean(axis=2))


def test_tile_keeps_the_response_to_equal_channels():
    crossed = cross_modality(KERNEL, 6, "tile")
    np.testing.assert_allclose(
        response(crossed, np.ones((3, 3, 6))),
        response(KERNEL, np.ones((3, 3, 3))),
    )


def test_cyclic_repeats_colours():
    crossed = cross_modality(KERNEL, 4, "cyclic")
    np.testing.assert_array_equal(crossed[:, :, 3], KERNEL[:, :, 0])


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 4, 5, 6)])
def test_kernels_of_pytorch_keep_the_order_of_their_places(shape):
    kernel = np.arange(np.prod(shape)).reshape(shape)
    ours = _adapt.from_torch(kernel)
    assert ours.shape == (*shape[2:], shape[1], shape[0])
    for output, given, *place in np.ndindex(shape):
        expected = kernel[output, given, *place]
        assert ours[*place, given, output] == expected


def test_a_bias_of_pytorch_stays_as_it_is():
    np.testing.assert_array_equal(
        _adapt.from_torch(KERNEL[0, 0, 0]), KERNEL[0, 0, 0]
    )


def test_folding_gamma_changes_no_response():
    x, eps = RNG.normal(size=8), 1e-3
    kernel = RNG.normal(size=(8, 5))
    gamma, beta, mean, var = RNG.uniform(0.5, 2, (4, 5))
    folded = _adapt.fold_gamma({
        "conv.kernel": kernel, "conv_bn.gamma": gamma, "conv_bn.beta": beta,
        "conv_bn.moving_mean": mean, "conv_bn.moving_variance": var,
    })  # fmt: skip
    assert "conv_bn.gamma" not in folded
    expected = gamma * (x @ kernel - mean) / np.sqrt(var + eps) + beta
    actual = x @ folded["conv.kernel"] - folded["conv_bn.moving_mean"]
    np.testing.assert_allclose(actual / np.sqrt(var + eps) + beta, expected)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: inflate(KERNEL, 3, "mean"), "one of average, centre, ident"),
        (lambda: inflate(KERNEL[0], 3), r"shape \(3, 3, 5\), time=3"),
        (lambda: cross_modality(KERNEL, 4, "sum"), "one of mean, tile, cycl"),
        (lambda: cross_modality(KERNEL, -1), "one channel or more.*-1"),
        (lambda: cross_modality(KERNEL[0, 0, 0], 4), r"outputs.*shape \("),
    ],
)
def test_wrong_adaptations_are_named(call, text):
    with pytest.raises(WeightsError, match=text):
        call()


def test_a_shape_without_a_way_names_both():
    with pytest.raises(WeightsError) as error:
        _adapt.fit(KERNEL, (3, 3, 3, 7), "rgb_conv1.kernel", {})
    assert "rgb_conv1.kernel has the shape (3, 3, 3, 5)" in str(error.value)
    assert "(3, 3, 3, 7)" in str(error.value)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((7, 7, 2, 3), (98, 3)),
        ((1, 1, 8, 4), (8, 4)),
        ((3, 1, 1, 8, 4), (3, 8, 4)),
        ((1, 4), (4,)),
    ],
)
def test_values_keep_their_places_in_fewer_axes(shape, wanted):
    array = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    fitted = _adapt.fit(array, wanted, "fc.kernel", {})
    np.testing.assert_array_equal(fitted, array.reshape(wanted))


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 1, 8, 4), (4, 8)),
        ((1, 1, 8, 4), (2, 16)),
        ((2, 3, 3, 3, 4), (6, 3, 3, 4)),
        ((2, 2), (4,)),
    ],
)
def test_shapes_of_equal_size_alone_are_refused(shape, wanted):
    with pytest.raises(WeightsError, match="nothing makes it"):
        _adapt.fit(np.zeros(shape), wanted, "fc.kernel", {})
