"""Explanations: a planted cue is found, shares add up, maps lie on frames."""

import dataclasses
import json

import av
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops
from small_model import small_model
from tiny_net import build

import keras_twostream as kts
from keras_twostream import inspection
from keras_twostream.actors import company
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    UntrainedHeadError,
)
from keras_twostream.explaining import METHODS, _material
from keras_twostream.explaining._contributions import (
    coalitions,
    shapley_values,
)
from keras_twostream.explaining._gradients import gradient
from keras_twostream.explaining._material import VideoMaterial
from keras_twostream.explaining._occlusion import Occlusion
from keras_twostream.explaining._projection import FrameMaps, Projection
from keras_twostream.explaining._spatial_maps import Place
from keras_twostream.layers import FoldTime, UnfoldTime, stream_inputs
from keras_twostream.spec import ClipSpec

__all__ = ["build"]

SPEC = ClipSpec(
    clip_length=2,
    temporal_stride=3,
    flow_length=2,
    short_side=32,
    crop=(32, 32),
    flow_algorithm="farneback",
)
CLASSES = ["dark", "red"]
every_method = pytest.mark.parametrize("method", METHODS)


def detector_of_red(streams=("rgb", "flow")):
    """A net whose second logit is the red (or the speed) of one patch's cells.

    Each cell of 4 x 4 pixels counts how much redder than blue it is; flow
    counts rightward motion. The first logit is 0.
    """
    spec = SPEC.replace(streams=streams)
    inputs, clips = stream_inputs(spec, "half")
    logits = []
    for stream, clip in clips.items():
        x = FoldTime(name=f"{stream}_fold")(clip)
        conv = keras.layers.Conv2D(
            1, 4, 4, activation="relu", name=f"{stream}_conv1"
        )
        x = conv(x)
        kernel = np.zeros(conv.kernel.shape, "float32")
        kernel[:, :, 0] = 1 / 16
        if stream == "rgb":
            kernel[:, :, 2] = -1 / 16
        conv.set_weights([kernel, np.zeros(1, "float32")])
        x = UnfoldTime(2, name=f"{stream}_unfold")(x)
        x = keras.layers.GlobalAveragePooling3D(name=f"{stream}_pool")(x)
        head = keras.layers.Dense(2, name=f"{stream}_fc")
        logits.append(head(x))
        head.set_weights([np.array([[0, 8]], "f4"), np.zeros(2, "f4")])
    fused = logits[0] if len(logits) == 1 else logits[0] + logits[1]
    model = keras.Model(inputs, fused, name="red")
    inspection.update_card(model, classes=CLASSES, head_trained=True)
    return model


def video_with_red(rows, columns, count=8, size=(32, 32)):
    """A grey video with one red patch."""
    frames = np.full((count, *size, 3), 127, "uint8")
    frames[:, rows, columns] = (255, 0, 0)
    return frames


def clip_of(spec, seed=0):
    """A random clip that a model of the spec takes."""
    rng = np.random.default_rng(seed)
    shape = (1, spec.clip_length, *spec.crop)
    clips = {
        "rgb": rng.uniform(0, 255, (*shape, spec.channels("rgb"))),
        "flow": rng.normal(0, 4, (*shape, spec.channels("flow"))),
    }
    return {s: clips[s].astype("float32") for s in spec.streams}


@pytest.mark.agnostic
def test_the_gradient_is_calculus():
    x = ops.convert_to_tensor(np.array([1.0, -2.0, 3.0], "float32"))
    slope = gradient(lambda t: ops.sum(t * t * t), x)
    np.testing.assert_allclose(ops.convert_to_numpy(slope), [3, 12, 27])
    flat = gradient(lambda t: ops.sum(ops.zeros_like(t)), x)
    np.testing.assert_array_equal(ops.convert_to_numpy(flat), 0)


@pytest.mark.agnostic
@every_method
def test_a_planted_cue_is_found(method):
    frames = video_with_red(slice(20, 28), slice(4, 12))
    why = kts.explain(frames, detector_of_red(), label="red", method=method)
    maps = why.maps["rgb"]
    assert maps.shape == (8, 32, 32) and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() == pytest.approx(1, abs=0.1)
    inside = maps[:, 20:28, 4:12].mean()
    outside = maps.sum() - maps[:, 20:28, 4:12].sum()
    assert inside > 0.4
    assert inside > 5 * outside / (maps.size - 8 * 64)
    x, y = why.centre("rgb", 3)
    assert (x * 32, y * 32) == (
        pytest.approx(8, abs=1.5),
        pytest.approx(24, abs=1.5),
    )
    assert why.contributions["flow"] == pytest.approx(0, abs=1e-3)


@every_method
def test_without_motion_there_is_nothing_to_look_at(method):
    clip = clip_of(SPEC)
    clip["flow"][:] = 0
    why = kts.explain(clip, detector_of_red(), method=method)
    assert not why.maps["flow"].any() and why.centre("flow", 1) is None
    assert why.contributions["flow"] == 0


@pytest.mark.agnostic
def test_shares_are_those_of_a_sum_of_streams():
    model = detector_of_red()
    clip = clip_of(SPEC)
    why = kts.explain(clip, model, label="red")
    alone = {
        stream: float(
            ops.convert_to_numpy(
                keras.Model(
                    model.inputs, model.get_layer(f"{stream}_fc").output
                )(clip)
            )[0, 1]
        )
        for stream in ("rgb", "flow")
    }
    assert why.neutral_logit == pytest.approx(0, abs=1e-4)
    for stream, logit in alone.items():
        assert why.contributions[stream] == pytest.approx(logit, abs=1e-4)
    assert why.logit == pytest.approx(sum(alone.values()), abs=1e-4)


@given(st.lists(st.floats(-50, 50, width=32), min_size=4, max_size=4))
def test_shares_add_up_whatever_the_scores(values):
    streams = ("rgb", "flow")
    scores = {
        chosen: np.array([value])
        for chosen, value in zip(coalitions(streams), values, strict=True)
    }
    shares = shapley_values(scores, streams)
    none, rgb, flow, both = values
    assert sum(shares.values()) == pytest.approx(both - none, abs=1e-9)
    expected = ((rgb - none) + (both - flow)) / 2
    assert shares["rgb"] == pytest.approx(expected, abs=1e-9)


@every_method
def test_one_stream_alone_has_the_whole_difference(method):
    model = detector_of_red(("rgb",))
    frames = video_with_red(slice(0, 8), slice(0, 8))
    why = kts.explain(frames, model, method=method)
    assert why.label == "red" and list(why.maps) == ["rgb"]
    difference = why.logit - why.neutral_logit
    assert difference > 0
    assert why.contributions == {"rgb": pytest.approx(difference)}


def test_maps_lie_where_the_crop_does():
    # The model sees the square in the middle of a wide frame.
    frames = video_with_red(slice(16, 48), slice(64, 96), size=(64, 128))
    model = detector_of_red(("rgb",))
    maps = kts.explain(frames, model, label="red").maps["rgb"]
    assert maps.shape == (8, 64, 128)
    assert not maps[:, :, :30].any() and not maps[:, :, 98:].any()
    assert maps[:, 20:44, 68:92].mean() > 0.8
    assert maps[:, :, 32:56].mean() < 0.05


def test_a_step_s_map_falls_on_its_own_frames():
    spec = SPEC.replace(temporal_stride=6, streams=("rgb",))
    material = VideoMaterial(np.zeros((7, 32, 32, 3), "uint8"), spec, None)
    projection = Projection(material, ["rgb"])
    maps = np.stack([np.zeros((2, 2)), np.ones((2, 2))])
    projection.add(0, [("rgb", Place(), maps)])
    heat = projection.finished()["rgb"].mean((1, 2))
    np.testing.assert_allclose(heat, np.arange(7) / 6, atol=1e-4)


def test_a_step_of_flow_is_in_the_middle_of_its_fields():
    spec = SPEC.replace(temporal_stride=6, flow_length=4, streams=("flow",))
    frames = np.zeros((spec.span(), 32, 32, 3), "uint8")
    projection = Projection(VideoMaterial(frames, spec, None), ["flow"])
    maps = np.stack([np.zeros((2, 2)), np.ones((2, 2))])
    projection.add(0, [("flow", Place(), maps)])
    heat = projection.finished()["flow"].mean((1, 2))
    middles = [pairs.mean() for pairs in spec.flow_pairs()]
    expected = np.interp(np.arange(spec.span()), middles, [0, 1])
    np.testing.assert_allclose(heat, expected, atol=1e-4)


def test_a_long_video_is_explained_window_by_window():
    frames = video_with_red(slice(0, 8), slice(0, 8), count=40)
    frames[20:] = 127  # the cue is gone in the second half
    why = kts.explain(frames, detector_of_red(("rgb",)), label="red")
    heat = why.maps["rgb"][:, :8, :8].mean((1, 2))
    assert len(why.windows) > 4 and heat[5] > 0.6 and heat[35] == 0
    first, *_, last = why.timelines["rgb"]
    assert first > 0 and last == pytest.approx(0, abs=1e-4)
    # The whole is the mean of the windows, the quiet ones included.
    difference = why.logit - why.neutral_logit
    assert why.contributions == {"rgb": pytest.approx(difference, rel=1e-4)}


def test_frames_of_one_window_and_of_several_count_alike():
    spec = SPEC.replace(streams=("rgb",))
    material = VideoMaterial(np.zeros((20, 32, 32, 3), "uint8"), spec, 0.04)
    assert material.spans[1, 0] < material.spans[0, 1]  # they overlap
    projection = Projection(material, ["rgb"])
    for clip in range(len(material.spans)):
        projection.add(clip, [("rgb", Place(), np.ones((2, 2, 2)))])
    maps = projection.finished()["rgb"]
    np.testing.assert_allclose(maps, 1, atol=1e-6)


def test_clips_too_many_to_keep_are_cut_a_second_time(monkeypatch):
    frames = np.zeros((40, 32, 32, 3), "uint8")
    material = VideoMaterial(frames, SPEC.replace(streams=("rgb",)), None)
    monkeypatch.setattr(_material, "_KEPT", 3 * 2 * 32 * 32 * 3)  # 3 clips
    for _ in range(2):
        batches = material.batches(2)
        assert sum(len(x["rgb"]) for x in batches) == len(material.spans)


def test_probabilities_of_several_actions_at_once_are_their_own():
    model = detector_of_red(("rgb",))
    head = model.get_layer("rgb_fc")
    head.set_weights([np.zeros((1, 2), "f4"), np.array([1, 2], "f4")])
    inspection.update_card(model, multi_label=True)
    clip = clip_of(SPEC.replace(streams=("rgb",)))
    for label, logit in (("dark", 1), ("red", 2)):
        why = kts.explain(clip, model, label=label)
        expected = 1 / (1 + np.exp(-logit))
        assert why.probability == pytest.approx(expected, abs=1e-6)


def test_the_rim_is_covered_as_often_as_the_middle():
    def mean(clips):
        return clips["rgb"].mean(axis=(1, 2, 3))

    look = Occlusion(mean, {"rgb": np.zeros(3)}, (1, 3, 3), 4)
    ((_, _, maps),) = look({"rgb": np.ones((1, 1, 6, 6, 3), "f4")}, 0)
    # Each patch of 4 by 4 pixels is 16 of the 36 that the mean is of.
    np.testing.assert_allclose(maps, np.full((1, 1, 3, 3), 16 / 36), rtol=1e-5)


@pytest.mark.agnostic
def test_other_weights_look_elsewhere(build):
    one, other = build(), build(seed=5)
    clip = clip_of(kts.clip_spec(one))
    result = []
    for model in (one, other, one):
        inspection.update_card(model, head_trained=True)
        result.append(kts.explain(clip, model, label=1).maps["rgb"])
    np.testing.assert_array_equal(result[0], result[2])
    assert min(maps.min() for maps in result) >= 0
    assert np.corrcoef(result[0].ravel(), result[1].ravel())[0, 1] < 0.9


def test_a_network_without_convolutions_is_explained_by_its_input():
    why = kts.explain(clip_of(kts.clip_spec(small_model())), small_model())
    assert {m.shape for m in why.maps.values()} == {(2, 24, 24)}


def test_several_clips_are_explained_one_by_one():
    model = detector_of_red()
    clips = [clip_of(SPEC, seed) for seed in (1, 2)]
    both = {s: np.concatenate([c[s] for c in clips]) for s in clips[0]}
    whys = kts.explain(both, model, label=1)
    assert len(whys) == 2
    alone = kts.explain(clips[1], model, label=1)
    assert whys[1].logit == pytest.approx(alone.logit, abs=1e-5)


def test_clips_that_are_no_numbers_or_of_other_counts_are_refused():
    model, clip = detector_of_red(), clip_of(SPEC)
    with pytest.raises(SpecError, match="clips of flow hold values .* no num"):
        kts.explain({**clip, "flow": clip["flow"] * np.nan}, model)
    for count in (0, 2):
        flow = np.repeat(clip["flow"], count, axis=0)
        with pytest.raises(SpecError, match=f"1 of rgb, {count} of flow"):
            kts.explain({**clip, "flow": flow}, model)
    with pytest.raises(SpecError, match="one or more"):
        kts.explain({s: x[:0] for s, x in clip.items()}, model)


def test_scores_that_are_no_numbers_are_not_explained():
    model = detector_of_red()
    for name in ("rgb_conv1", "rgb_fc"):  # finite, and their product is not
        layer = model.get_layer(name)
        layer.set_weights([1e30 * x for x in layer.get_weights()])
    with pytest.raises(UntrainedHeadError, match="no numbers"):
        kts.explain(clip_of(SPEC), model)


def test_wrong_questions_are_refused():
    model, clip = detector_of_red(), clip_of(SPEC)
    with pytest.raises(SpecError, match="grad_cam, occlusion.*grad_kam"):
        kts.explain(clip, model, method="grad_kam")
    with pytest.raises(UnknownNameError, match="no action 'rde'.*red"):
        kts.explain(clip, model, label="rde")
    with pytest.raises(UnknownNameError, match="no action 2"):
        kts.explain(clip, model, label=2)
    with pytest.raises(SpecError, match="no 'flow'"):
        kts.explain({"rgb": clip["rgb"]}, model)
    with pytest.raises(SpecError, match=r"are \(N, 2, H, W, 3\)"):
        kts.explain({**clip, "rgb": clip["rgb"][0]}, model)
    for grid in ((1, 0, 6), (1, 6), 6, None, "166"):
        with pytest.raises(SpecError, match="three whole numbers"):
            kts.explain(clip, model, grid=grid)
    inspection.update_card(model, head_trained=False)
    with pytest.raises(UntrainedHeadError, match="is random"):
        kts.explain(clip, model)


# === Pictures ===


@pytest.fixture(scope="module")
def why():
    frames = video_with_red(slice(4, 12), slice(4, 12))
    return kts.explain(frames, detector_of_red(), label="red")


def test_an_explanation_shows_itself(why, tmp_path):
    assert str(why).startswith("frames: red ")
    assert repr(why).startswith("<Explanation by grad_cam of frames: red ")
    assert "data:image/jpeg;base64," in why._repr_html_()
    document = json.loads(json.dumps(why.to_json()))
    assert document["label"] == "red"
    shares = document["contributions"]
    difference = document["logit"] - document["neutral_logit"]
    assert sum(shares.values()) == pytest.approx(difference, abs=1e-3)
    assert document["per_second"][0]["centres"]["rgb"][0] < 0.5
    sheet = why.save_sheet(tmp_path / "why.png")
    assert sheet.read_bytes().startswith(b"\x89PNG")


def test_no_picture_of_an_explanation_takes_the_place_of_its_video(
    why, tmp_path
):
    video = tmp_path / "a.mp4"
    video.write_bytes(b"the only copy")
    reread = dataclasses.replace(why, source=str(video))
    for write, name in (
        (reread.save_video, "a.avi"),
        (reread.save_sheet, "a.mp4"),
    ):
        with pytest.raises(SpecError, match="would be lost"):
            write(tmp_path / name)
    assert video.read_bytes() == b"the only copy"


def test_the_video_has_every_frame(why, tmp_path):
    with av.open(str(why.save_video(tmp_path / "why.mp4"))) as container:
        assert sum(1 for _ in container.decode(video=0)) == 8


def test_a_map_makes_the_picture_brighter():
    from keras_twostream.visual._heat import overlay

    image = np.full((4, 4, 3), 60, "uint8")
    heat = np.array([[0.0, 0.0], [0.0, 1.0]])
    glowing = overlay(image, heat)
    np.testing.assert_array_equal(glowing[0, 0], image[0, 0])
    assert glowing[3, 3].sum() > 2 * image[3, 3].sum()


def test_centres_are_those_of_the_middle_of_each_second(why):
    small = np.eye(20, dtype="float32")[:, None]  # moves a cell each frame
    maps = FrameMaps({"rgb": small}, (1, 20))
    moving = dataclasses.replace(why, maps=maps, rate=10.0)
    rows = moving.to_json()["per_second"]
    # Frames 5 and 15, in the middle of a cell of 20.
    assert [row["centres"]["rgb"][0] for row in rows] == [0.275, 0.775]


# === The trained network ===


@pytest.mark.full
@every_method
def test_the_shipped_network_looks_at_the_person(method):
    model = kts.load("spatiotemporal_resnet.actors")
    ratios = []
    for index, label in enumerate(("wave_hand", "jumping_jack", "bend")):
        frames, boxes = company.render_company(
            [label], split="test", index=index, size=(112, 144)
        )
        maps = kts.explain(frames, model, method=method).maps["rgb"]
        inside = np.zeros(maps.shape, bool)
        for mask, (left, top, right, bottom) in zip(
            inside, boxes[:, 0].astype(int), strict=True
        ):
            mask[top : bottom + 1, left : right + 1] = True
        ratios.append(maps[inside].mean() / maps[~inside].mean())
    assert np.mean(ratios) > 1.5, ratios


def test_motion_is_grey_beneath_its_map():
    from keras_twostream import flow
    from keras_twostream.visual._heat import _grey

    fields = np.zeros((4, 6, 2), np.float32)
    fields[0, 0], fields[1, 1] = (8, 0), (0, -4)
    grey = _grey(flow.to_rgb(fields, max_px=8)).astype(int)
    assert (grey == grey[..., :1]).all()
    fast, half, still = grey[0, 0, 0], grey[1, 1, 0], grey[3, 3, 0]
    assert fast > half > still == 0
