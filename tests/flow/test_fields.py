"""Flow fields: encoding, transformations, stacks, files and colours."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_twostream import flow
from keras_twostream.errors import SpecError

fields = hnp.arrays(
    np.float32,
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 6),
        st.integers(1, 6),
        st.sampled_from([2, 4]),
    ),
    elements=st.floats(-25, 25, width=32),
)


# === Encoding ===


@given(fields, st.sampled_from([8, 16]), st.floats(0.5, 100))
def test_encoding_is_off_by_half_a_level_at_most(field, bits, bound):
    decoded = flow.decode(flow.encode(field, bound, bits), bound)
    half_a_level = bound / (2**bits - 1)
    error = np.abs(decoded - np.clip(field, -bound, bound))
    assert error.max() <= half_a_level + 1e-6 * bound


@given(st.floats(0.1, 1000), st.sampled_from([8, 16]))
def test_rest_is_the_upper_level_in_the_middle_for_every_bound(bound, bits):
    assert flow.encode(np.zeros(1), bound, bits) == [2 ** (bits - 1)]


def test_encoding_follows_dense_flow():
    encoded = flow.encode(np.array([-30.0, -20, 0, 20, 30]))
    assert encoded.dtype == np.uint8
    assert encoded.tolist() == [0, 0, 128, 255, 255]
    assert flow.encode(np.zeros(1), bits=16).dtype == np.uint16


@pytest.mark.parametrize("bits", [8, 16])
def test_every_level_lies_on_one_line(bits):
    levels = np.arange(2**bits).astype(f"uint{bits}")
    step, first = flow.levels_to_pixels(32.0, bits)
    np.testing.assert_allclose(
        levels * step + first, flow.decode(levels, 32.0), atol=1e-5
    )
    assert first == -32 and (2**bits - 1) * step + first == pytest.approx(32)


def test_a_tool_that_truncates_means_half_a_level_more():
    bound = 20.0
    pixels = np.linspace(-bound, bound, 1001)[:-1]
    truncated = np.floor((pixels + bound) * 255 / (2 * bound))
    assert truncated[np.abs(pixels).argmin()] == 127
    step, first = flow.levels_to_pixels(bound, zero=127)
    errors = truncated * step + first - pixels
    assert np.abs(errors).max() <= step / 2 + 1e-9
    assert abs(errors.mean()) < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": 0}, "`bound` must be greater than 0.*bound=0"),
        ({"bound": float("inf")}, "greater than 0.*bound=inf"),
        ({"bits": 12}, "`bits` must be 8 or 16.*bits=12"),
        ({"zero": 126}, "`zero` must be 127 or 128.*zero=126"),
        ({"bits": 16, "zero": 128}, "`zero` must be 32767 or 32768"),
    ],
)
def test_levels_of_no_encoding_are_refused(options, message):
    with pytest.raises(SpecError, match=message):
        flow.levels_to_pixels(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bound": 0}, "`bound` must be greater than 0.*bound=0"),
        ({"bound": float("inf")}, "greater than 0.*bound=inf"),
        ({"bits": 12}, "`bits` must be 8 or 16.*bits=12"),
    ],
)
def test_encoding_refuses_wrong_arguments(options, message):
    with pytest.raises(SpecError, match=message):
        flow.encode(np.zeros(3), **options)


# === Geometry ===


@given(fields)
def test_mirroring_twice_changes_nothing(field):
    mirrored = flow.mirror(field)
    np.testing.assert_array_equal(flow.mirror(mirrored), field)
    np.testing.assert_array_equal(mirrored[..., 0, 0::2], -field[..., -1, 0::2])
    np.testing.assert_array_equal(mirrored[..., 0, 1::2], field[..., -1, 1::2])


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(2, 40))
def test_resizing_scales_displacement(height, width):
    field = np.tile(np.float32([3, -2, 1, 5]), (10, 20, 1))
    resized = flow.resize(field, (height, width))
    assert resized.shape == (height, width, 4)
    expected = [
        3 * width / 20, -2 * height / 10, width / 20, 5 * height / 10,
    ]  # fmt: skip
    np.testing.assert_allclose(
        resized, np.broadcast_to(expected, resized.shape), rtol=1e-4
    )


def test_eight_bit_flow_is_not_taken_for_pixels():
    with pytest.raises(SpecError, match=r"flow\.decode.*uint8"):
        flow.mirror(np.zeros((4, 4, 2), np.uint8))


def test_no_field_is_resized_to_none():
    """A video of one frame has none."""
    assert flow.resize(np.zeros((0, 4, 5, 2)), (8, 10)).shape == (0, 8, 10, 2)


@pytest.mark.parametrize("size", [224, (224,), (8, 8, 2)])
def test_a_size_is_of_two_sides(size):
    with pytest.raises(SpecError, match=r"`size` must be \(height, width\)"):
        flow.resize(np.zeros((4, 5, 2), np.float32), size)


# === Stacking ===


def test_stacks_interleave_x_and_y():
    given = np.arange(3 * 4 * 5 * 2, dtype=np.float32).reshape(3, 4, 5, 2)
    stacked = flow.stack(given)
    assert stacked.shape == (4, 5, 6)
    for number in range(3):
        x_and_y = stacked[..., 2 * number : 2 * number + 2]
        np.testing.assert_array_equal(x_and_y, given[number])


def test_trajectories_follow_the_point():
    given = np.zeros((3, 6, 8, 2), np.float32)
    given[0, ..., 0] = 2  # everything moves two pixels to the right, ...
    given[1, ..., 1] = 1  # ... then one down
    given[2] = np.random.default_rng(0).normal(size=(6, 8, 2))
    stacked = flow.stack(given, "trajectory")
    np.testing.assert_allclose(
        stacked[2, 3, 4:], given[2, 2 + 1, 3 + 2], atol=1e-5
    )


def _walked(fields, y, x):
    """The flow along one point's way, by a loop of scalars in float64."""
    _, height, width, _ = fields.shape
    met, place = [], np.float64([x, y])
    for field in fields.astype(np.float64):
        column, row = np.clip(place, 0, [width - 1, height - 1])
        left, top = min(int(column), width - 2), min(int(row), height - 2)
        a, b = column - left, row - top
        around = field[top : top + 2, left : left + 2]
        weights = np.outer([1 - b, b], [1 - a, a])
        met.append((around * weights[..., None]).sum(axis=(0, 1)))
        place = place + met[-1]
    return np.concatenate(met)


@settings(max_examples=25)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(
            st.integers(1, 4), st.integers(2, 6), st.integers(2, 7), st.just(2)
        ),
        elements=st.floats(-4, 4, width=32),
    )
)
def test_trajectories_are_exactly_bilinear(given_fields):
    """OpenCV's remap, with its steps of 1/32 px, would not pass."""
    _, height, width, _ = given_fields.shape
    wanted = [
        [_walked(given_fields, y, x) for x in range(width)]
        for y in range(height)
    ]
    stacked = flow.stack(given_fields, "trajectory")
    assert stacked.dtype == np.float32
    np.testing.assert_allclose(stacked, wanted, atol=2e-4)


def test_both_ways_are_followed_from_the_same_frame():
    forward, backward = np.random.default_rng(1).normal(size=(2, 3, 5, 6, 2))
    both = np.concatenate([forward, backward])
    stacked = flow.stack(both, "bidirectional_trajectory")
    wanted = [flow.stack(way, "trajectory") for way in (forward, backward)]
    np.testing.assert_array_equal(stacked, np.concatenate(wanted, axis=-1))


def test_points_are_followed_before_the_mean_is_subtracted():
    given = np.random.default_rng(2).normal(3, 1, (3, 8, 9, 2))
    given = given.astype(np.float32)
    for stacking in ("forward", "trajectory"):
        stacked = flow.stack(given, stacking, mean_subtraction=True)
        means = given.reshape(3, -1, 2).mean(axis=1).ravel()
        wanted = flow.stack(given, stacking) - means
        np.testing.assert_allclose(stacked, wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "stacking", "message"),
    [
        ((4, 5, 2), "forward", r"\(L, H, W, 2\).*\(4, 5, 2\)"),
        ((3, 4, 5, 2), "sideways", "stacking.*trajectory.*'sideways'"),
        ((0, 4, 5, 2), "trajectory", r"L 1 or more.*\(0, 4, 5, 2\)"),
        ((3, 4, 5, 2), "bidirectional", r"L is even.*\(3, 4, 5, 2\)"),
        ((3, 4, 5, 2), "bidirectional_trajectory", "L is even"),
    ],
)
def test_stacking_refuses_wrong_arguments(shape, stacking, message):
    with pytest.raises(SpecError, match=message):
        flow.stack(np.zeros(shape), stacking)


# === Comparing ===


def test_end_point_error_leaves_out_unknown_and_masked():
    truth = np.zeros((2, 2, 2), np.float32)
    estimate = truth + np.float32([3, 4])
    truth[0, 0], truth[1, 1] = [2e9, 0], [0, -2e9]  # one coordinate will do
    assert flow.end_point_error(estimate, truth) == 5
    estimate[1] = 0
    mask = np.array([[True, True], [True, False]])
    assert flow.end_point_error(estimate, truth, mask) == 2.5
    with pytest.raises(SpecError, match="one shape"):
        flow.end_point_error(estimate, truth[:1])
    with pytest.raises(SpecError, match=r"`mask` must.*\(2, 2\).*\(2, 1\)"):
        flow.end_point_error(estimate, truth, mask[:, :1])


# === Files and colours ===


@given(field=fields)
def test_flo_files_that_opencv_wrote_are_read(field, tmp_path_factory):
    path = tmp_path_factory.mktemp("flo") / "field.flo"
    one = np.ascontiguousarray(field[0, ..., :2], np.float32)
    assert cv2.writeOpticalFlow(str(path), one)
    np.testing.assert_array_equal(flow.read_flo(path), one)


def test_flo_files_of_others_are_read(shared):
    folder = shared / "flow/middlebury_rubberwhale"
    field = flow.read_flo(folder / "flow10.flo")
    known = np.abs(field).max(axis=-1) < 1e9
    assert field.shape == (388, 584, 2)
    speed = np.linalg.norm(field[known], axis=-1).mean()
    assert speed == pytest.approx(1.26, abs=0.01)


def test_damaged_flo_files_are_named(tmp_path):
    path = tmp_path / "field.flo"
    cv2.writeOpticalFlow(str(path), np.zeros((4, 5, 2), np.float32))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(SpecError, match=r"field\.flo says .*truncated"):
        flow.read_flo(path)
    path.write_bytes(b"JPEG or something")
    with pytest.raises(SpecError, match="starts with b'PIEH'.*b'JPEG'"):
        flow.read_flo(path)


def test_colours_show_direction_and_speed():
    field = np.float32([[[4, 0], [0, 0], [-4, 0], [2, 0], [99, 0]]])
    colours = flow.to_rgb(field, max_px=4)
    assert colours.dtype == np.uint8
    right, still, left, slower, clipped = colours[0].tolist()
    assert right == clipped == [255, 0, 0]
    assert still == [255, 255, 255]
    assert left[0] == 0 and min(left[1:]) > 100
    assert slower == [255, 128, 128]
    with pytest.raises(SpecError, match="max_px=-1"):
        flow.to_rgb(field, max_px=-1)


def test_flow_that_is_no_number_is_not_encoded():
    field = np.zeros((4, 5, 2))
    field[1, 2, 0] = np.nan
    with pytest.raises(SpecError, match="NaN at 1 of 40 places"):
        flow.encode(field)
    assert flow.encode(np.array([np.inf, -np.inf])).tolist() == [255, 0]


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (4, 2.5)])
def test_a_size_of_nothing_is_refused(size):
    with pytest.raises(SpecError, match="must be a whole number, 1 or more"):
        flow.resize(np.zeros((6, 8, 2), np.float32), size)
