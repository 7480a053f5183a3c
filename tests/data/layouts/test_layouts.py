"""Frames and flow of other tools: named, paired, scaled, mirrored."""

import os
import random

import cv2
import numpy as np
import pytest
from damage import damaged
from foreign_layouts import (
    LAYOUTS,
    STEPS,
    moving_frames,
    true_fields,
    write_layout,
)

from keras_twostream import ClipSpec, flow
from keras_twostream.data import layouts
from keras_twostream.data.cutting.clip_sources import clips, open_source
from keras_twostream.data.cutting.cropping import Crop, mirrored
from keras_twostream.data.cutting.footage import footage_of
from keras_twostream.data.doctor.examining import examine
from keras_twostream.data.layouts import sources
from keras_twostream.data.layouts.measuring import likely_bound
from keras_twostream.errors import SpecError, VideoError

FRAMES, FIELDS = moving_frames(), true_fields()
SPEC = ClipSpec(clip_length=1, flow_length=2, short_side=64, crop=(64, 80))
FOLDERS = [name for name in LAYOUTS if name != "i3d_npy"]


@pytest.fixture(params=LAYOUTS)
def written(request, tmp_path):
    """The layout's name, the video's path, and its first frame's number."""
    path = write_layout(request.param, tmp_path, FRAMES, FIELDS)
    return request.param, path, int(request.param == "dense_flow")


def test_frames_and_fields_are_paired_as_the_tool_did(written):
    _, path, lost = written
    source = open_source(path, SPEC)
    assert source.frames == 6 - lost
    shown = source.read(np.array([0, 2]))
    np.testing.assert_allclose(shown, FRAMES[[lost, lost + 2]], atol=1)
    fields = source.fields(np.array([[2, 3], [0, 1], [1, 1]]))
    assert not fields[2].any()
    expected = FIELDS[[lost + 2, lost]]
    np.testing.assert_allclose(fields[:2], expected, atol=20 / 255 + 1e-4)


def test_the_layout_has_its_name(tmp_path):
    for name in FOLDERS:
        path = write_layout(name, tmp_path / name, FRAMES, FIELDS)
        layout = layouts.read_layout(path)
        assert layout.name == name
        assert layout.first == (0 if name == "denseflow" else 1)
        assert layout.shift == (1 if name == "dense_flow" else 0)


def test_the_flow_folder_leads_to_the_frames_too(tmp_path):
    write_layout("gpu_flow", tmp_path, FRAMES, FIELDS)
    layout = layouts.read_layout(tmp_path / "tvl1_flow" / "u" / "v")
    assert (layout.name, layout.frames, layout.fields) == ("gpu_flow", 6, 5)


def test_only_the_last_word_names_the_stream(tmp_path):
    path = write_layout("i3d_npy", tmp_path, FRAMES, FIELDS)
    for stream in ("rgb", "flow"):
        target = tmp_path / f"arranging_flowers_rgb_1_{stream}.npy"
        path.with_name(f"v_{stream}.npy").rename(target)
    source = open_source(tmp_path / "arranging_flowers_rgb_1_rgb.npy", SPEC)
    assert source.frames == 6
    assert source.fields(np.array([[0, 1]])).any()


def test_a_mirrored_clip_moves_the_other_way(written):
    _, path, lost = written
    source = open_source(path, SPEC)
    footage = footage_of(source, np.array([1]), SPEC)
    crop = Crop(0, 0, 64, 80, (64, 80))
    plain = footage.crop(crop)
    flipped = footage.crop(mirrored(crop, True))
    np.testing.assert_array_equal(flipped["rgb"], plain["rgb"][:, :, ::-1])
    np.testing.assert_allclose(flipped["flow"], flow.mirror(plain["flow"]))
    means = flipped["flow"].mean(axis=(0, 1, 2))
    x, y = STEPS[1 + lost]
    np.testing.assert_allclose(means[:2], [-x, y], atol=0.1)


def test_smaller_frames_move_less(written):
    _, path, lost = written
    source = open_source(path, SPEC.replace(short_side=32, crop=(32, 40)))
    assert source.size == (32, 40)
    field = source.fields(np.array([[0, 1]]))[0]
    np.testing.assert_allclose(field, FIELDS[lost, :32, :40] / 2, atol=0.05)


def test_arrays_of_the_network_s_size_are_not_cropped_again(tmp_path):
    path = write_layout("i3d_npy", tmp_path, FRAMES, FIELDS)
    clip = clips(path, SPEC.replace(short_side=73))
    np.testing.assert_allclose(clip["rgb"][0, 0], FRAMES[1], atol=1)
    np.testing.assert_allclose(clip["flow"][0, 0, 0, 0, :2], STEPS[1])
    whole = SPEC.replace(short_side=128, crop=(112, 112))
    assert open_source(path, whole).size == (128, 160)


def test_the_zero_level_is_that_of_the_tool(tmp_path):
    still = np.zeros_like(FIELDS)
    for name, level in (("mmaction2", 127), ("dense_flow", 128)):
        path = write_layout(name, tmp_path / name, FRAMES, still)
        files = layouts.read_layout(path).files["x"]
        assert sources.zero_level(files[1], name) == level


@pytest.mark.parametrize("name", ["dense_flow", "mmaction2", "gpu_flow"])
@pytest.mark.parametrize("bound", [20.0, 32.0])
def test_bound_and_pairing_can_be_measured(tmp_path, name, bound):
    fields = flow.compute(FRAMES)
    path = write_layout(name, tmp_path, FRAMES, fields, bound)
    measurement = layouts.measure(layouts.read_layout(path))
    assert likely_bound([measurement.bound], 20.0) == bound
    assert measurement.shift == int(name == "dense_flow")
    assert measurement.correlation > 0.9


def test_fields_and_frames_of_several_sizes_are_measured(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, flow.compute(FRAMES))
    for name in ("flow_x_00001.png", "flow_x_00002.png", "flow_y_00002.png"):
        levels = cv2.imread(str(path / name), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path / name), cv2.resize(levels, (40, 64)))
    last = cv2.imread(str(path / "img_00005.png"))
    cv2.imwrite(str(path / "img_00005.png"), last[:60])
    assert layouts.measure(layouts.read_layout(path)).shift == 0


def test_a_damaged_picture_is_left_out_of_the_measurement(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, flow.compute(FRAMES))
    (path / "flow_x_00001.png").write_bytes(b"no picture")
    assert layouts.measure(layouts.read_layout(path)).correlation > 0.9


def test_nothing_is_measured_where_nothing_moves(tmp_path):
    still = np.repeat(FRAMES[:1], 6, axis=0)
    path = write_layout("denseflow", tmp_path, still, np.zeros_like(FIELDS))
    assert layouts.measure(layouts.read_layout(path)) is None


def test_flow_of_other_frames_is_not_measured(tmp_path):
    rng = np.random.default_rng(0)
    fields = rng.uniform(-15, 15, FIELDS.shape).astype("float32")
    path = write_layout("denseflow", tmp_path, FRAMES, fields)
    assert layouts.measure(layouts.read_layout(path)) is None


# === What cannot be read ===


def test_a_folder_of_other_files_is_an_error(tmp_path):
    (tmp_path / "note.txt").touch()
    with pytest.raises(VideoError, match="no file in it is named as a frame"):
        open_source(tmp_path, SPEC)


def test_a_missing_stream_is_an_error(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, FIELDS[:0])
    with pytest.raises(VideoError, match="holds no flow in x and y"):
        open_source(path, SPEC)
    assert open_source(path, SPEC.replace(streams=("rgb",))).frames == 6


def test_a_missing_field_is_named(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, FIELDS)
    (path / "flow_y_00003.png").unlink()
    with pytest.raises(VideoError, match="lacks flow field 3"):
        open_source(path, SPEC).fields(np.array([[3, 4]]))


def test_a_frame_of_another_shape_is_named(tmp_path):
    path = write_layout("denseflow", tmp_path, FRAMES, FIELDS)
    file = sorted(path.glob("img_*"))[2]
    cv2.imwrite(str(file), np.zeros((40, 90, 3), np.uint8))
    source = open_source(path, SPEC)
    for wanted in ([0, 2], [2, 2]):
        with pytest.raises(VideoError, match=f"{file.name} has 90x40 pixels"):
            source.read(np.array(wanted))


def test_only_neighbours_have_flow(written):
    source = open_source(written[1], SPEC)
    with pytest.raises(SpecError, match="from each frame to the next"):
        source.fields(np.array([[2, 1]]))


def test_classes_that_share_a_name_are_not_mixed(tmp_path):
    write_layout("denseflow", tmp_path / "sit", FRAMES, FIELDS)
    path = write_layout("denseflow", tmp_path / "run", FRAMES, FIELDS[:0])
    assert layouts.read_layout(path).fields == 0


def test_clips_take_the_bound_that_is_passed(written):
    _, path, _ = written
    clip = clips(path, SPEC, bound=10.0)["flow"]
    assert np.abs(clip).max() > 1
    np.testing.assert_allclose(2 * clip, clips(path, SPEC)["flow"], atol=1e-4)


def test_batches_take_the_bound_that_is_passed(tmp_path):
    pytest.importorskip("tensorflow")
    from keras_twostream.data import video_dataset

    path = write_layout("denseflow", tmp_path, FRAMES, FIELDS, 10.0)
    ((clip, _),) = video_dataset([(path, 0)], SPEC, 1, bound=10.0)
    ((twice, _),) = video_dataset([(path, 0)], SPEC, 1)
    np.testing.assert_allclose(2 * clip["flow"], twice["flow"], atol=1e-4)
    assert np.abs(clip["flow"]).max() > 1


@pytest.mark.parametrize(
    "measured, expected, likely",
    [
        ([16.4, 20.1], 20.0, 20.0),  # 18 in the middle is no other bound
        ([31.0, 33.5], 20.0, 32.0),
        ([15.2], 32.0, 15.0),
        ([150.0], 20.0, 150.0),
    ],
)
def test_a_bound_is_doubted_only_where_it_is_far_off(
    measured, expected, likely
):
    assert likely_bound(measured, expected) == likely


@pytest.mark.parametrize(
    "pattern",
    [
        *("{:05d}.jpg", "img_{:05d}.jpg", "frame{:04d}.png", "thumb{:04d}.jpg"),
        *("frame ({}).jpg", "{}.bmp", "image-{}.webp", "frame_{:06d}.JPEG"),
        *("out{:04d}.png", "thumb ({}).jpg", "frame.{:04d}.png", "({}).jpg"),
        *("{:03d}.jfif", "{:03d}.tif", "{:03d}.TIFF", "{:03d}.ppm"),
    ],
)
def test_common_names_of_frames_are_read(tmp_path, pattern):
    for number, frame in enumerate(FRAMES[:3], 1):
        file = tmp_path / pattern.format(number)
        kind = file.suffix.replace("jfif", "jpg")
        _, content = cv2.imencode(kind, frame[..., ::-1])
        file.write_bytes(content.tobytes())
    spec = SPEC.replace(streams=("rgb",), stream_weights=())
    source = open_source(tmp_path, spec)
    assert (source.frames, source.layout.name) == (3, "frames")
    shown = source.read(np.array([0, 2])).astype(int)
    assert np.abs(shown - FRAMES[[0, 2]]).mean() < 10


def test_frames_in_folders_of_classes_are_fed(tmp_path):
    from keras_twostream.data import read_annotations, video_dataset

    for place, frames in (("run/a", FRAMES), ("walk/b", FRAMES[::-1])):
        (tmp_path / place).mkdir(parents=True)
        for number, frame in enumerate(frames):
            file = tmp_path / place / f"{number:05}.png"
            cv2.imwrite(str(file), frame[..., ::-1])
    found = read_annotations(tmp_path)
    assert found.classes == ("run", "walk")
    spec = SPEC.replace(streams=("rgb",))
    ((clip, label),) = video_dataset(found, spec, 2)
    assert label.numpy().tolist() == [0, 1]
    for shown, folder in zip(clip["rgb"].numpy(), found.paths, strict=True):
        np.testing.assert_array_equal(shown, clips(folder, spec)["rgb"][0])
    assert examine(tmp_path).facts["videos"] == 2


def test_two_pictures_of_one_number_are_refused_and_reported(tmp_path):
    for name in ("1.png", "2.png", "002.png"):
        cv2.imwrite(str(tmp_path / name), FRAMES[0])
    with pytest.raises(VideoError, match=r"002.png and 2.png have the same nu"):
        layouts.read_layout(tmp_path)
    report = examine(tmp_path)
    assert "have the same number" in report.findings[0].where[0]


def test_an_array_that_is_a_pipe_is_not_waited_for(tmp_path):
    path = write_layout("i3d_npy", tmp_path, FRAMES, FIELDS)
    os.remove(path)
    os.mkfifo(path)
    with pytest.raises(VideoError, match="a pipe, a socket or a device"):
        open_source(path, SPEC)


def test_every_damaged_array_is_read_or_refused(tmp_path):
    path = write_layout("i3d_npy", tmp_path, FRAMES, FIELDS)
    whole, rng, refused = path.read_bytes(), random.Random(0), 0
    for number in range(150):
        data = damaged(whole[:128], rng) + whole[128:]
        if number == 0:  # NumPy's parser raises a TokenError
            data = whole.replace(b"(", b"{", 1).replace(b"}", b"{")
        path.write_bytes(data)
        try:
            open_source(path, SPEC)
        except VideoError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 50


def test_a_header_that_the_interpreter_fails_at_is_read_again(
    tmp_path, monkeypatch
):
    path = write_layout("i3d_npy", tmp_path, FRAMES, FIELDS)
    load, failures = np.load, [SystemError("AST constructor"), None] * 2

    def by_chance(*arguments, **options):
        if failures and (failure := failures.pop(0)):
            raise failure
        return load(*arguments, **options)

    monkeypatch.setattr(np, "load", by_chance)
    assert open_source(path, SPEC).frames == len(FRAMES)
    assert not failures


def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path):
    content = bytearray(cv2.imencode(".png", np.zeros((4, 4), "u1"))[1])
    content[16:24] = b"\0\0\xff\xff" * 2
    (tmp_path / "img_00001.png").write_bytes(content)
    with pytest.raises(VideoError, match="65535x65535 = 4,294,836,225 pixels"):
        open_source(tmp_path, SPEC.replace(streams=("rgb",)))
