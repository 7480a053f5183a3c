"""The actors data set: its labels, its pairs, its files, its fairness."""

import csv
import runpy
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from keras_twostream import actors
from keras_twostream.actors import body, figure, rendering, textures
from keras_twostream.actors.pose import joints
from keras_twostream.actors.scene import open_scene
from keras_twostream.actors.shapes import View, shade
from keras_twostream.data import read_annotations, read_frames
from keras_twostream.errors import SpecError, UnknownNameError

SMALL = (48, 64)
PAIRS = [
    ("sit_down", "stand_up"),
    ("raise_arms", "lower_arms"),
    ("walk_forward", "walk_backward"),
    ("circle_arms_clockwise", "circle_arms_anticlockwise"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("actors")
    count = 7 * len(actors.CLASSES)
    clips = actors.generate(
        folder, count, workers=0, size=SMALL, progress=False
    )
    return folder, clips


def _act(label, index=0, split="train"):
    return open_scene(label, 0, split, index, SMALL)


def test_classes_are_seventeen_in_a_fixed_order():
    assert len(set(actors.CLASSES)) == 17
    assert actors.CLASSES[:2] == ("sit_down", "stand_up")
    assert actors.CLASSES[8:12] == ("drink", "phone", "wave_hand", "wave_flag")
    assert actors.CLASSES[-1] == "no_action"


@pytest.mark.parametrize("label", actors.CLASSES)
def test_clip_is_a_function_of_its_seed(label):
    first = actors.render(label, seed=3, index=5, size=SMALL)
    again = actors.render(label, seed=3, index=5, size=SMALL)
    other = actors.render(label, seed=3, index=6, size=SMALL)
    assert first.dtype == np.uint8
    assert first.shape[1:] == (*SMALL, 3)
    assert 32 <= len(first) <= 64
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize(("label", "partner"), PAIRS)
def test_motion_pair_is_one_clip_in_two_directions(label, partner):
    forth = actors.render(label, seed=1, size=SMALL)
    back = actors.render(partner, seed=1, size=SMALL)
    np.testing.assert_array_equal(forth, back[::-1])
    assert not np.array_equal(forth, back)


@pytest.mark.parametrize(
    ("label", "partner"), [("drink", "phone"), ("wave_hand", "wave_flag")]
)
def test_appearance_pair_moves_alike_and_looks_different(label, partner):
    pose, other = _act(label)[1], _act(partner)[1]
    np.testing.assert_array_equal(pose.upper, other.upper)
    np.testing.assert_array_equal(pose.fore, other.fore)
    clips = [actors.render(name, size=SMALL) for name in (label, partner)]
    assert not np.array_equal(*clips)


def test_clockwise_is_seen_from_the_figures_right():
    arm = _act("circle_arms_clockwise")[1].upper[0]
    turn = np.unwrap(np.arctan2(arm[:, 2], arm[:, 0]))
    assert (np.diff(turn) < 0).mean() > 0.95  # x forward to the right, z up


def test_walkers_swing_the_foot_forward_in_the_air():
    scene, pose, _ = _act("walk_forward")
    feet = joints(scene.body, pose)["ankles"][..., [0, 2]]
    pelvis = joints(scene.body, pose)["pelvis"][:, 0]
    speed = np.diff(feet[..., 0] - pelvis, axis=1)
    high = feet[:, 1:, 1] > 0.035 + 0.06
    assert high.any()
    assert speed[high].mean() > 0


@pytest.mark.parametrize("label", ["sit_down", "bend", "drink", "jumping_jack"])
def test_feet_rest_on_the_floor_and_bones_keep_their_length(label):
    scene, pose, _ = _act(label)
    places = joints(scene.body, pose)
    lowest = places["ankles"][..., 2].min(axis=0) - pose.lift
    np.testing.assert_allclose(lowest, 0.035, atol=1e-9)
    arm = np.linalg.norm(places["hands"] - places["elbows"], axis=-1)
    np.testing.assert_allclose(arm, scene.body.lengths["fore"])


def test_drinkers_reach_their_face():
    for index in range(5):
        scene, pose, _ = _act("drink", index)
        places = joints(scene.body, pose)
        gap = places["hands"][pose.lead] - places["head"]
        assert np.linalg.norm(gap, axis=-1).min() < 0.16


def test_splits_share_no_person_wall_or_clip():
    people = [set(range(*pool)) for pool in body.POOLS.values()]
    assert not people[0] & people[1]
    walls = [set(family) for family in textures.FAMILIES.values()]
    assert not walls[0] & walls[1]
    train = actors.render("bend", split="train", size=SMALL)
    test = actors.render("bend", split="test", size=SMALL)
    assert train.shape != test.shape or not np.array_equal(train, test)


def test_scene_does_not_depend_on_the_class():
    scenes = [_act(label, index=4)[0] for label in actors.CLASSES]
    for scene in scenes[1:]:
        assert scene.frames == scenes[0].frames
        assert scene.crf == scenes[0].crf
        np.testing.assert_array_equal(scene.anchor, scenes[0].anchor)
        np.testing.assert_array_equal(scene.backdrop, scenes[0].backdrop)


def test_people_face_left_and_right():
    assert {_act("bend", index)[0].facing for index in range(8)} == {-1, 1}


def test_the_first_people_are_those_that_the_weights_have_seen():
    """Other people under the same seed would make results incomparable."""
    known, new = body.person(5), body.person(1_000_003)
    assert (known.hair, known.pattern, known.sleeves) == ("short", "band", 0)
    assert (known.colours["shirt"], known.legs) == ((30, 85, 5), 1)
    assert new.colours["shirt"] == (229, 191, 250)
    scene = _act("bend")[0]
    assert (scene.frames, scene.crf, scene.tool) == (58, 34, "bottle")


def test_clouds_are_smooth_and_reach_the_brightest_level():
    clouds = textures._clouds(96, 128, np.random.default_rng(0)).astype(int)
    assert clouds.max() == 255
    assert np.abs(np.diff(clouds, axis=0)).max() < 64
    assert np.abs(np.diff(clouds, axis=1)).max() < 64


def test_the_nearest_part_is_painted_last():
    square = np.array([[[2, 2], [2, 6], [6, 6], [6, 2]]]) << figure.SHIFT
    far, near = (
        (np.zeros(1), [(square, (255, 0, 0))]),
        (
            np.ones(1),
            [(square, (0, 0, 255))],
        ),
    )
    for parts in ([far, near], [near, far]):
        frame = np.zeros((8, 8, 3), np.uint8)
        figure.draw_parts(frame, parts, 0)
        assert frame[4, 4].tolist() == [0, 0, 255]


def test_shoes_hide_their_soles_but_for_the_edge():
    scene, pose, _ = _act("bend")
    view = View(0.0, 0.1, 400.0, np.array([[200.0, 380.0]]), 1)
    places = joints(scene.body, pose)
    parts = figure.figure_parts(scene.body, places, view, None, pose.lead)
    frame = np.zeros((400, 400, 3), np.uint8)
    figure.draw_parts(frame, figure.fixed_point(parts), 0)
    shoe = scene.body.colours["shoes"]
    seen = [
        (frame == colour).all(-1).sum() for colour in (shoe, shade(shoe, -60))
    ]
    assert seen[0] > 2 * seen[1] > 0


def test_generated_files_are_h264_with_every_frame(data):
    folder, clips = data
    path, label = clips[20]
    assert path == folder / "train" / "lower_arms" / "train_000020.mp4"
    assert label == 3
    frames = actors.render(label, index=20, size=SMALL)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 25
        decoded = [f.to_ndarray(format="rgb24") for f in container.decode(0)]
    assert len(decoded) == len(frames)
    gap = np.abs(np.asarray(decoded, float) - frames).mean()
    assert gap < 20


def test_annotations_list_every_clip(data):
    folder, clips = data
    with open(folder / "train.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "label"]
    assert rows[1] == ["train/sit_down/train_000000.mp4", "sit_down"]
    assert len(rows) == len(clips) + 1
    assert {row[1] for row in rows[1:]} == set(actors.CLASSES)
    listed = read_annotations(folder / "train.json")
    assert listed.classes == actors.CLASSES
    labels = [label for _, label in clips]
    assert [item.labels[0] for item in listed.items] == labels


def test_repeated_run_makes_only_what_is_missing(tmp_path):
    def make():
        calls = []
        clips = actors.generate(
            tmp_path,
            3,
            split="test",
            workers=0,
            size=SMALL,
            progress=lambda done, count: calls.append((done, count)),
        )
        return clips, calls

    clips, calls = make()
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]
    kept = clips[0][0].stat().st_mtime_ns
    content = clips[1][0].read_bytes()
    clips[1][0].unlink()
    again, calls = make()
    assert calls == [(2, 3), (3, 3)]
    assert again == clips
    assert clips[0][0].stat().st_mtime_ns == kept
    assert clips[1][0].read_bytes() == content
    assert not list(tmp_path.rglob(".*"))


def test_the_bar_ends_at_its_total():
    with rendering._Reporter(True, "actors") as report:
        for done in range(4):
            report(done, 3)
        (task,) = report.__self__.bar.tasks
        assert (task.completed, task.total) == (3, 3)


def test_another_data_set_s_clips_are_not_taken_for_these(data, tmp_path):
    folder, _ = data
    with pytest.raises(SpecError, match="drawn with seed=0"):
        actors.generate(folder, 9, seed=1, workers=0, size=SMALL)
    with pytest.raises(SpecError, match="`count` must be"):
        actors.generate(tmp_path, 0)


def test_a_run_that_stopped_goes_on_with_its_own_clips_alone(tmp_path):
    def stop(done, count):
        if done == 1:
            raise KeyboardInterrupt

    options = {"workers": 0, "size": SMALL}
    with pytest.raises(KeyboardInterrupt):
        actors.generate(tmp_path, 2, progress=stop, **options)
    with pytest.raises(SpecError, match="drawn with seed=0"):
        actors.generate(tmp_path, 2, seed=1, progress=False, **options)
    assert len(actors.generate(tmp_path, 2, progress=False, **options)) == 2


def test_a_refused_data_set_claims_no_folder(tmp_path):
    with pytest.raises(SpecError, match="even sizes"):
        actors.generate(tmp_path, 1, size=(63, 64))
    with pytest.raises(UnknownNameError, match="No split 'tests'"):
        actors.generate(tmp_path, 1, "tests")
    assert not list(tmp_path.iterdir())


def test_processes_write_the_same_files(data, tmp_path):
    _, clips = data
    made = actors.generate(tmp_path, 9, workers=1, size=SMALL, progress=False)
    for (path, _), (known, _) in zip(made, clips, strict=False):
        assert path.read_bytes() == known.read_bytes()


def _python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )


def test_workers_need_no_keras():
    code = (
        "import sys, keras_twostream.actors; "
        "print({'keras', 'tensorflow', 'sklearn'} & set(sys.modules))"
    )
    result = _python(code)
    assert result.stdout.strip() == "set()", result.stderr


def test_vp9_takes_over_where_there_is_no_h264(tmp_path, monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"libvpx-vp9"})
    path = actors.write_clip(tmp_path / "a.mp4", "bend", size=SMALL)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == "vp9"
    shown, drawn = read_frames(path), actors.render("bend", size=SMALL)
    assert shown.shape == drawn.shape
    assert np.abs(shown.astype(int) - drawn).mean() < 12


def test_without_opencv_the_error_says_what_to_install():
    code = (
        "import sys; sys.modules['cv2'] = None\nimport keras_twostream.actors"
    )
    result = _python(code)
    assert "MissingLibraryError: Reading video" in result.stderr


def test_length_place_colour_and_size_do_not_tell_the_class(data):
    _, clips = data
    script = Path(__file__).parents[2] / "benchmarks/actors_bias.py"
    bias = runpy.run_path(str(script))
    features = [
        bias["nuisances"](path, "train", 0, index)
        for index, (path, _) in enumerate(clips)
    ]
    labels = np.array([label for _, label in clips])
    chance = 1 / len(actors.CLASSES)
    assert bias["nuisance_accuracy"](features, labels) < chance + 0.05
    telling = np.asarray(features)
    telling[:, 0] = labels  # the measure sees a leak when there is one
    assert bias["nuisance_accuracy"](telling, labels) > chance + 0.05


def test_wrong_arguments_are_named():
    with pytest.raises(
        UnknownNameError, match=r"No action 'sitdown'.*sit_down"
    ):
        actors.render("sitdown")
    with pytest.raises(UnknownNameError, match=r"classes 0 to 16.*17"):
        actors.render(17)
    with pytest.raises(UnknownNameError, match=r"No split 'val'.*test"):
        actors.render("run", split="val")
    with pytest.raises(SpecError, match=r"even sizes.*size=\(33, 64\)"):
        actors.render("run", size=(33, 64))
    with pytest.raises(SpecError, match="32 pixels or more"):
        actors.render("run", size=(30, 64))
    for size in (64, (64,), (64.0, 64), "ab"):
        with pytest.raises(SpecError, match="32 pixels or more"):
            actors.render("run", size=size)
    for label in (None, 1.5):
        with pytest.raises(UnknownNameError, match="classes 0 to 16"):
            actors.render(label)
    for name in ("seed", "index"):
        for wrong in (-1, None, 0.5):
            with pytest.raises(SpecError, match=f"`{name}` must be a whole"):
                actors.render("run", **{name: wrong})
    assert actors.render("run", size=(32, 32)).shape[1:3] == (32, 32)
