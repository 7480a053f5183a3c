"""Raw frames in, logits out, in one file."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from moving_texture import frames_moving
from small_raft import SMALL_RAFT

from keras_twostream import ClipSpec, flow, with_flow
from keras_twostream.data import clips
from keras_twostream.deploy import StackFlow
from keras_twostream.errors import SpecError
from keras_twostream.flow import _raft_encoder
from keras_twostream.layers import StreamInput, stream_inputs

_SPEC = ClipSpec(
    clip_length=2,
    temporal_stride=2,
    flow_length=3,
    flow_offset=-1,
    crop=(24, 32),
    short_side=32,
    flow_algorithm="tvl1",
)
_UNCHANGED = {
    "rgb": {"scale": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3},
    "flow": {"bound": 20.0, "std": 0.5},
}
_QUICK = {"scales": 2, "warps": 2, "iterations": 4}


def _model(spec):
    """A model whose outputs are what its streams were fed."""
    streams, outputs = [], {}
    for name in reversed(spec.streams):
        shape = (spec.clip_length, *spec.crop, spec.channels(name))
        stream = keras.Input(shape, name=name)
        fed = StreamInput(name, _UNCHANGED[name], spec.to_json())(stream)
        streams.append(stream)
        outputs[name] = keras.layers.Activation("linear")(fed)
    return keras.Model(streams, outputs, name="fed")


def _clip(spec):
    return frames_moving(0.75, -0.5, spec.span(), 32, 40)[None]


@pytest.mark.agnostic
@pytest.mark.parametrize(
    "changes",
    [{}, {"stacking": "trajectory"}, {"mean_subtraction": True}],
)
def test_streams_are_fed_as_the_spec_says(changes):
    spec = _SPEC.replace(**changes)
    frames = _clip(spec)
    model = with_flow(_model(spec), **_QUICK)
    fed = model.predict_on_batch(frames)
    wanted = frames[0][spec.rgb_frames()[:, 0], 4:28, 4:36]
    np.testing.assert_allclose(fed["rgb"][0], wanted, atol=1e-3)
    fields = flow.compute_pairs(frames[0], spec.flow_pairs(), "tvl1", **_QUICK)
    stacked = [
        flow.stack(step, spec.stacking, spec.mean_subtraction)[4:28, 4:36]
        for step in fields
    ]
    np.testing.assert_allclose(fed["flow"][0] * 20, stacked, atol=0.02)


@pytest.mark.agnostic
@settings(max_examples=10, deadline=None)
@given(
    hnp.arrays(
        np.float32, (1, 4, 12, 14, 2), elements=st.floats(-6, 6, width=32)
    )
)
def test_trajectories_in_the_graph_are_those_outside(fields):
    for stacking, numbers in (
        ("trajectory", [[0, 1, 2], [1, 2, 3]]),
        ("bidirectional_trajectory", [[0, 1, 2, 3], [3, 1, 0, 2]]),
    ):
        stack = StackFlow(numbers, (8, 10), stacking, mean_subtraction=True)
        stacked = keras.ops.convert_to_numpy(stack(fields))[0]
        wanted = [flow.stack(fields[0][n], stacking, True) for n in numbers]
        np.testing.assert_allclose(
            stacked, np.stack(wanted)[:, 2:10, 2:12], atol=1e-4
        )


@pytest.mark.agnostic
def test_the_whole_saves_as_one_file(tmp_path):
    frames = _clip(_SPEC)
    model = with_flow(_model(_SPEC), scales=1, warps=1, iterations=2)
    model.save(tmp_path / "deployed.keras")
    again = keras.models.load_model(tmp_path / "deployed.keras")
    expected = model.predict_on_batch(frames)["flow"]
    np.testing.assert_allclose(
        again.predict_on_batch(frames)["flow"], expected, atol=1e-4
    )


def test_parameters_of_the_spec_hold_unless_given():
    spec = _SPEC.replace(
        flow_algorithm="tvl1", flow_parameters={"warps": 7, "scales": 3}
    )
    layer = with_flow(_model(spec), scales=2).get_layer("tvl1")
    assert layer.parameters["warps"] == 7
    assert layer.parameters["scales"] == 2


@pytest.mark.portable
def test_learned_flow_goes_into_the_file_with_its_weights(
    monkeypatch, tmp_path
):
    monkeypatch.setitem(_raft_encoder.SIZES, "raft_small", SMALL_RAFT)
    spec = _SPEC.replace(
        clip_length=1,
        flow_length=2,
        flow_algorithm="raft_small",
        flow_parameters={"updates": 1, "weights": None},
    )
    frames = _clip(spec)
    model = with_flow(_model(spec))
    assert not model.trainable_weights
    layer = model.get_layer("raft")
    assert layer.network == "raft_small" and layer.updates == 1
    fields = keras.ops.convert_to_numpy(layer(frames))[0]
    pairs = layer.pairs
    stacked = [
        [fields[pairs.index(pair)][4:28, 4:36] for pair in step]
        for step in spec.flow_pairs().tolist()
    ]
    wanted = np.concatenate(np.moveaxis(stacked, 1, 0), axis=-1)
    fed = model.predict_on_batch(frames)["flow"][0] * 20
    np.testing.assert_allclose(fed, np.clip(wanted, -20, 20), atol=0.01)
    model.save(tmp_path / "deployed.keras")
    again = keras.models.load_model(tmp_path / "deployed.keras")
    np.testing.assert_allclose(
        again.predict_on_batch(frames)["flow"][0] * 20, fed, atol=0.01
    )


def test_the_algorithm_in_the_graph_may_be_another():
    with pytest.warns(UserWarning, match="tvl1 flow.*computes raft_large"):
        model = with_flow(
            _model(_SPEC), algorithm="raft_large", weights=None, updates=3
        )
    assert model.get_layer("raft").network == "raft_large"
    with pytest.raises(SpecError, match="one of tvl1, raft_small.*'dis'"):
        with_flow(_model(_SPEC), algorithm="dis")


def test_a_model_without_flow_takes_frames_alone():
    spec = _SPEC.replace(streams=("rgb",))
    model = with_flow(_model(spec))
    assert model.input_shape == (None, spec.span(), None, None, 3)
    fed = model.predict_on_batch(_clip(spec))
    assert list(fed) == ["rgb"]


@pytest.mark.agnostic
@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_frames_smaller_than_the_crop_are_refused(stream):
    spec = _SPEC.replace(streams=(stream,))
    model = with_flow(_model(spec), scales=1, warps=1, iterations=2)
    with pytest.raises(SpecError, match="at least 24x32"):
        model(_clip(spec)[:, :, :20])
    with pytest.raises(SpecError, match="at least 24x32"):
        model.predict_on_batch(_clip(spec)[:, :, :20])


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="other backends trace each shape",
)
def test_frames_of_another_shape_are_refused_after_others():
    """TensorFlow traces one graph for any shape after two of them."""
    frames = _clip(_SPEC)
    model = with_flow(_model(_SPEC), scales=1, warps=1, iterations=2)
    reloaded = keras.models.model_from_json(model.to_json())
    for clip in (frames, frames[:, :, :-1], frames[:, :, :, :-1]):
        reloaded.predict(clip, verbose=0)
    with pytest.raises(Exception, match="Frames must be at least 24x32"):
        reloaded.predict(frames[:, :, :20], verbose=0)
    for wrong in (frames[:, 1:], frames.repeat(2, axis=1), frames[..., :1]):
        with pytest.raises(Exception, match="not compatible|incompatible"):
            reloaded.predict(wrong, verbose=0)


def test_another_flow_than_the_network_s_own_is_said():
    spec = _SPEC.replace(flow_algorithm="farneback")
    with pytest.warns(UserWarning, match="made for farneback flow"):
        with_flow(_model(spec))


def test_streams_of_stacks_are_fed_in_their_order():
    inputs, clips = stream_inputs(_SPEC)
    towers = [
        keras.Sequential(
            [keras.layers.Dense(2), keras.layers.GlobalAveragePooling3D()]
        )(clip)
        for clip in clips.values()
    ]
    model = keras.Model(inputs, keras.layers.Add()(towers))
    deployed = with_flow(model, scales=1, warps=1, iterations=2)
    assert deployed.predict_on_batch(_clip(_SPEC)).shape == (1, 2)


@pytest.mark.parametrize("algorithm", ["tvl1", "raft_small"])
def test_a_parameter_that_the_algorithm_lacks_is_named(algorithm):
    with pytest.raises(SpecError, match=f"{algorithm}.* no parameter 'zeal'"):
        with_flow(_model(_SPEC), algorithm=algorithm, zeal=1)


def test_a_model_of_someone_else_is_refused():
    inputs = keras.Input((4,))
    with pytest.raises(SpecError, match="no keras_twostream stream input"):
        with_flow(keras.Model(inputs, keras.layers.Dense(2)(inputs)))


@pytest.mark.parametrize("rounding", ["floor", "round"])
def test_the_middle_is_cut_as_the_spec_rounds_it(rounding):
    spec = _SPEC.replace(
        streams=("rgb",), crop=(25, 33), crop_rounding=rounding
    )
    frames = _clip(spec)
    fed = with_flow(_model(spec)).predict_on_batch(frames)["rgb"]
    # 32 - 25 and 40 - 33 leave 3.5 on every side.
    first = {"floor": 3, "round": 4}[rounding]
    middle = frames[0, ::2, first : first + 25, first : first + 33]
    np.testing.assert_allclose(fed[0], middle, atol=1e-4)
    outside = clips(frames[0], spec.replace(short_side=32))["rgb"]
    np.testing.assert_allclose(fed, outside, atol=0.51)
