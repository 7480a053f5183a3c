"""Clips played otherwise: which frames and fields they show, and weights."""

import numpy as np
import pytest
import tensorflow as tf

from keras_twostream import flow
from keras_twostream.errors import SpecError
from keras_twostream.spec import ClipSpec
from keras_twostream.training._replaying import replayed

SPEC = ClipSpec(clip_length=2, frames_per_step=2, flow_length=2, crop=(1, 3))


def _clips(rows=1):
    rng = np.random.default_rng(0)
    shape = (rows, 2, 1, 3)
    return {
        "rgb": rng.uniform(0, 255, (*shape, 6)).astype("float32"),
        "flow": rng.normal(0, 3, (*shape, 4)).astype("float32"),
    }


def _ways(spec=SPEC, rows=64):
    """A clip in each way in which it was drawn: {(rgb bytes): clips}."""
    one = _clips()
    clips = {name: np.repeat(x, rows, axis=0) for name, x in one.items()}
    batches = tf.data.Dataset.from_tensors((clips, np.zeros(rows, "int32")))
    found, _, weights = next(iter(replayed(batches, spec, 0.75, 0, 0)))
    seen = {}
    for row, weight in enumerate(weights.numpy()):
        clip = {name: x[row].numpy() for name, x in found.items()}
        seen[clip["rgb"].tobytes()] = clip, float(weight)
    return {name: x[0] for name, x in one.items()}, seen


def _backwards_by_hand(clip):
    rgb, fields = clip["rgb"], clip["flow"]
    frames = [
        rgb[1, ..., 3:],
        rgb[1, ..., :3],
        rgb[0, ..., 3:],
        rgb[0, ..., :3],
    ]
    back = [
        fields[1, ..., 2:], fields[1, ..., :2],
        fields[0, ..., 2:], fields[0, ..., :2],
    ]  # fmt: skip
    return {
        "rgb": np.stack(
            [np.concatenate(frames[i : i + 2], -1) for i in (0, 2)]
        ),
        "flow": -np.stack(
            [np.concatenate(back[i : i + 2], -1) for i in (0, 2)]
        ),
    }


def _mirrored_by_hand(clip):
    fields = [flow.mirror(x) for x in np.split(clip["flow"], 2, axis=-1)]
    return {
        "rgb": clip["rgb"][:, :, ::-1],
        "flow": np.concatenate(fields, axis=-1),
    }


def test_a_clip_is_played_in_four_ways_and_labelled_in_one():
    clip, seen = _ways()
    back = _backwards_by_hand(clip)
    expected = [
        (clip, 1.0), (back, 0.0),
        (_mirrored_by_hand(clip), 0.0), (_mirrored_by_hand(back), 0.0),
    ]  # fmt: skip
    assert len(seen) == 4
    for played, weight in expected:
        found, given = seen[np.ascontiguousarray(played["rgb"]).tobytes()]
        np.testing.assert_allclose(found["flow"], played["flow"], rtol=1e-6)
        assert given == weight


def test_fields_of_both_ways_change_places_backwards():
    spec = SPEC.replace(stacking="bidirectional")
    clip, seen = _ways(spec)
    rgb = np.ascontiguousarray(_backwards_by_hand(clip)["rgb"]).tobytes()
    forward, backward = np.split(clip["flow"][::-1], 2, axis=-1)
    np.testing.assert_array_equal(
        seen[rgb][0]["flow"], np.concatenate([backward, forward], axis=-1)
    )


def test_weights_of_clips_stay_where_they_are_played_as_they_are():
    batch = _clips(8), np.zeros(8, "int32"), np.arange(1.0, 9.0)
    dataset = tf.data.Dataset.from_tensors(batch)
    *_, plain = next(iter(replayed(dataset, SPEC, 0.5, 1, 0)))
    assert set(plain.numpy()) <= {0.0, *batch[2]}
    *_, all_of_them = next(iter(replayed(dataset, SPEC, 0.0, 1, 0)))
    np.testing.assert_array_equal(all_of_them, batch[2])


def test_a_batch_is_drawn_alike_after_a_stop():
    batch = _clips(8), np.zeros(8, "int32")
    dataset = tf.data.Dataset.from_tensors(batch).repeat(4)
    drawn = list(replayed(dataset, SPEC, 0.5, 1, 0).as_numpy_iterator())
    again = next(replayed(dataset, SPEC, 0.5, 1, 3).as_numpy_iterator())
    np.testing.assert_array_equal(drawn[3][2], again[2])
    np.testing.assert_array_equal(drawn[3][0]["flow"], again[0]["flow"])
    assert len({tuple(weights) for *_, weights in drawn}) > 1


def test_flow_along_trajectories_is_refused():
    spec = SPEC.replace(stacking="trajectory")
    with pytest.raises(SpecError, match="cannot be played backwards"):
        replayed(tf.data.Dataset.from_tensors((0, 0)), spec, 0.5, 0, 0)
