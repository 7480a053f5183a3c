"""Geometry: one draw for both streams, flow right after every operation."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_twostream import flow
from keras_twostream.data import view_crops
from keras_twostream.data.cutting import augmentation as augment
from keras_twostream.data.cutting import cropping
from keras_twostream.data.cutting.placement import generator
from keras_twostream.errors import SpecError

SIZE = (112, 112)


def draws(name, height=128, width=170, size=SIZE, count=300):
    draw = augment.AUGMENTATIONS[name]
    return [
        draw(height, width, size, generator(0, 0, index))
        for index in range(count)
    ]


def crop_clip(clip, crop):
    return {
        "rgb": cropping.crop_rgb(clip["rgb"], crop),
        "flow": cropping.crop_flow(clip["flow"], crop),
    }


def clip(height=20, width=30):
    rng = np.random.default_rng(0)
    return {
        "rgb": rng.integers(0, 256, (2, height, width, 3), np.uint8),
        "flow": rng.normal(size=(2, height, width, 4)).astype(np.float32),
    }


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(sorted(augment.AUGMENTATIONS)),
    st.integers(1, 300),
    st.integers(1, 300),
    st.tuples(st.integers(1, 256), st.integers(1, 256)),
    st.integers(0, 2**31),
)
def test_crops_stay_in_the_frame(name, height, width, size, seed):
    rng = generator(seed, 0, 0)
    crop = augment.AUGMENTATIONS[name](height, width, size, rng)
    assert crop.height >= 1 and crop.width >= 1
    assert 0 <= crop.top <= height - crop.height
    assert 0 <= crop.left <= width - crop.width
    assert crop.size == size


def test_multi_scale_sizes_and_places():
    # 256x340 and 224, the case that the paper states.
    crops = draws("multi_scale", 256, 340, (224, 224), 2000)
    sizes = {(crop.height, crop.width) for crop in crops}
    sides = [256, 224, 192, 168]
    assert sizes == {
        (a, b)
        for i, a in enumerate(sides)
        for j, b in enumerate(sides)
        if abs(i - j) <= 1
    }
    small = [c for c in crops if (c.height, c.width) == (168, 168)]
    assert {(crop.top, crop.left) for crop in small} == {
        (0, 0),
        (0, 172),
        (88, 0),
        (88, 172),
        (44, 86),
    }


def test_multi_scale_13_has_thirteen_positions():
    places = {
        (crop.top, crop.left)
        for index in range(500)
        for crop in [
            augment.multi_scale(
                8, 8, (4, 4), generator(0, 0, index), (0.5,), positions=13
            )
        ]
    }
    assert len(places) == 13
    assert (1, 3) in places and (0, 2) in places


def test_flow_is_enlarged_less_and_segments_have_more_places():
    sizes = {
        name: {crop.height for crop in draws(name, 256, 340, (224, 224), 2000)}
        for name in ("multi_scale_flow", "multi_scale_13")
    }
    assert sizes["multi_scale_flow"] == {256, 224, 192}
    assert sizes["multi_scale_13"] == {256, 224, 192, 168}
    places = {
        crop.left
        for crop in draws("multi_scale_13_flow", 256, 340, (224, 224), 2000)
        if crop.width == 192
    }
    assert len(places) == 5


def test_aspect_jitter_keeps_to_the_border():
    crops = draws("aspect_jitter", 256, 340, (224, 224))
    for crop in crops:
        assert 168 <= crop.height <= 256 and 168 <= crop.width <= 280
        share = crop.left / (340 - crop.width)
        assert share <= 0.26 or share >= 0.74
    halves = [
        (crop.top > (256 - crop.height) / 2, crop.left > 170 - crop.width / 2)
        for crop in crops
        if crop.height < 250
    ]
    corners = [halves.count(half) / len(halves) for half in np.ndindex(2, 2)]
    assert min(corners) > 0.15
    ratios = [crop.height / crop.width for crop in crops]
    assert min(ratios) < 0.8 and max(ratios) > 1.2


def test_scale_jitter_keeps_the_aspect_ratio():
    crops = draws("scale_jitter")
    assert {crop.height == crop.width for crop in crops} == {True}
    assert (
        min(c.height for c in crops) < 92 and max(c.height for c in crops) > 110
    )


def test_mirroring_twice_is_nothing():
    original = clip()
    whole = cropping.Crop(0, 0, 20, 30, (20, 30), mirror=True)
    once = crop_clip(original, whole)
    np.testing.assert_array_equal(once["flow"], flow.mirror(original["flow"]))
    twice = crop_clip(once, whole)
    for stream in original:
        np.testing.assert_array_equal(twice[stream], original[stream])


def test_resizing_scales_displacement():
    crop = cropping.Crop(0, 10, 20, 20, (40, 10))
    constant = np.ones((1, 20, 30, 2), np.float32)
    scaled = cropping.crop_flow(constant, crop)
    np.testing.assert_allclose(scaled[..., 0], 0.5)
    np.testing.assert_allclose(scaled[..., 1], 2.0)
    as_authors = cropping.crop_flow(constant, crop, "unscaled")
    np.testing.assert_allclose(as_authors, 1.0)
    mirrored = cropping.crop_flow(
        constant, dataclasses.replace(crop, mirror=True), "unscaled"
    )
    np.testing.assert_allclose(mirrored[0, 0, 0], [-1, 1])
    with pytest.raises(SpecError, match="must be one of scaled, unscaled"):
        cropping.crop_flow(constant, crop, "as is")


@pytest.mark.parametrize("mirror", [False, True])
def test_cropping_commutes_with_flow(mirror):
    # A smooth texture that moves 2 pixels to the right and 1 down.
    rows, columns = np.mgrid[0:96, 0:128].astype(np.float32)
    texture = [
        127
        + 60 * np.sin((columns - 2 * t) / 7) * np.cos((rows - t) / 9)
        + 60 * np.sin((columns - 2 * t + rows - t) / 13)
        for t in range(2)
    ]
    frames = np.stack(texture)[..., None].repeat(3, -1).astype(np.uint8)
    crop = cropping.Crop(10, 20, 64, 80, (96, 96), mirror)
    after = cropping.crop_flow(flow.compute(frames), crop)
    before = flow.compute(cropping.crop_rgb(frames, crop))
    inner = np.s_[:, 16:-16, 16:-16]
    expected = [-2.4 if mirror else 2.4, 1.5]
    np.testing.assert_allclose(after[inner].mean((0, 1, 2)), expected, atol=0.2)
    assert np.abs(after - before)[inner].mean() < 0.25


def test_cropping_does_not_touch_its_input():
    original = clip()
    copy = {name: array.copy() for name, array in original.items()}
    for crop in (
        cropping.Crop(0, 0, 20, 30, (20, 30)),
        cropping.Crop(0, 0, 20, 30, (20, 30), mirror=True),
        cropping.Crop(2, 3, 10, 10, (20, 30)),
    ):
        crop_clip(original, crop)
    for name in original:
        np.testing.assert_array_equal(original[name], copy[name])


def test_view_crops():
    assert len(view_crops(128, 170, SIZE, "10-crop")) == 10
    corners = view_crops(128, 170, SIZE, "10-crop")[:5]
    assert [(crop.top, crop.left) for crop in corners] == [
        (0, 0),
        (0, 58),
        (16, 0),
        (16, 58),
        (8, 29),
    ]
    three = view_crops(128, 170, SIZE, "3-crop")
    assert [crop.left for crop in three] == [0, 21, 42]
    assert {(crop.height, crop.width) for crop in three} == {(128, 128)}
    upright = view_crops(170, 128, SIZE, "3-crop")
    assert [crop.top for crop in upright] == [0, 21, 42]
    wide = view_crops(128, 170, (48, 64), "3-crop")
    assert {(crop.height, crop.width) for crop in wide} == {(127, 170)}
    four = view_crops(128, 170, SIZE, "4-crop")
    corners = [(crop.top, crop.left) for crop in four]
    assert corners == 2 * [(0, 0), (16, 58)]
    assert [crop.mirror for crop in four] == [False, False, True, True]
    eighteen = view_crops(128, 170, SIZE, "18-crop")
    assert {(crop.top, crop.left) for crop in eighteen[:9]} == {
        (top, left) for top in (0, 8, 16) for left in (0, 29, 58)
    }
    assert eighteen[9:] == [cropping.mirrored(crop) for crop in eighteen[:9]]
    whole = view_crops(128, 170, SIZE, "whole_mirrored")
    assert [crop.mirror for crop in whole] == [False, True]
    assert whole[0].size == (128, 170)
    with pytest.raises(SpecError, match="`crops` must be one of"):
        view_crops(128, 170, SIZE, "5-crop")


def test_ten_crops_of_a_small_frame_lie_inside_it():
    for crop in view_crops(20, 30, (24, 24), "10-crop"):
        assert (crop.height, crop.width) == (20, 20)
        assert 0 <= crop.left <= 10 and crop.top == 0


def test_colour_changes_rgb_within_bounds():
    frames = clip()["rgb"]
    plain = augment.draw_colour(generator(0, 0, 0), strength=0)
    np.testing.assert_array_equal(augment.apply_colour(frames, plain), frames)
    matrices = [augment.draw_colour(generator(0, 0, i)) for i in range(50)]
    grey = np.full((1, 1, 1, 3), 100, np.uint8)
    for matrix in matrices:
        changed = augment.apply_colour(grey, matrix).astype(int)
        assert np.ptp(changed) <= 1  # grey stays grey
    brightness = [float(m[0, :3].sum()) for m in matrices]
    assert min(brightness) < 0.7 and max(brightness) > 1.3


def test_saturation_comes_first_then_contrast_then_brightness():
    class Draw:
        def uniform(self, low, high, count):
            assert (low, high, count) == (0.5, 1.5, 3)
            return np.array([1.2, 0.6, 0.8])

    matrix = augment.draw_colour(Draw(), strength=0.5)
    pixel = np.array([200.0, 40.0, 90.0])
    grey = pixel @ [0.299, 0.587, 0.114]
    duller = grey + 0.8 * (pixel - grey)
    flatter = 127.5 + 0.6 * (duller - 127.5)
    np.testing.assert_allclose(
        matrix @ np.append(pixel, 1), 1.2 * flatter, rtol=1e-5
    )


def test_augmentation_by_name_or_function():
    assert augment.get_augmentation(augment.centre) is augment.centre
    with pytest.raises(SpecError, match="Did you mean multi_scale"):
        augment.get_augmentation("multiscale")
