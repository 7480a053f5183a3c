"""Several actors at once: their boxes, their order, and the list of them."""

import json

import numpy as np
import pytest

from keras_twostream import actors, data
from keras_twostream.actors import company
from keras_twostream.actors.scene import Scene
from keras_twostream.errors import SpecError, UnknownNameError

PAIR = ("wave_flag", "bend")


@pytest.fixture(scope="module")
def clip():
    return actors.render_company(PAIR, seed=3)


def test_a_clip_is_a_function_of_its_arguments(clip):
    frames, boxes = actors.render_company(PAIR, seed=3)
    np.testing.assert_array_equal(frames, clip[0])
    np.testing.assert_array_equal(boxes, clip[1])
    other, _ = actors.render_company(PAIR, seed=4)
    assert other.shape != frames.shape or (other != frames).any()


def test_each_person_has_a_box_in_every_frame(clip):
    frames, boxes = clip
    assert boxes.shape == (len(frames), 2, 4)
    left, right = boxes[:, 0], boxes[:, 1]
    assert (left[:, 0] < right[:, 0]).all()
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    height, width = frames.shape[1:3]
    assert boxes.min() >= 0
    assert (boxes.max(axis=(0, 1)) <= (width - 1,) * 4).all()
    assert boxes[..., 3].max() <= height - 1


def test_what_one_person_holds_changes_only_their_box():
    """The same scene and motion, once with a flag in the hand."""
    empty, _ = actors.render_company(("wave_hand", "bend"), seed=7)
    flag, boxes = actors.render_company(("wave_flag", "bend"), seed=7)
    changed = (empty != flag).any(axis=-1)
    rows, columns = np.mgrid[: changed.shape[1], : changed.shape[2]]
    for time in range(len(changed)):
        x1, y1, x2, y2 = boxes[time, 0]
        slack = 4  # of the lens's blur
        inside = (columns >= x1 - slack) & (columns <= x2 + slack)
        inside &= (rows >= y1 - slack) & (rows <= y2 + slack)
        assert changed[time].sum() > 20
        assert not (changed[time] & ~inside).any()


def test_a_reversed_action_shows_the_same_boxes_backwards():
    """The camera shakes, so they are equal but for its few pixels."""
    _, down = actors.render_company(("sit_down",), seed=5)
    _, up = actors.render_company(("stand_up",), seed=5)
    heights = down[:, 0, 3] - down[:, 0, 1], up[:, 0, 3] - up[:, 0, 1]
    assert heights[0][0] > 1.2 * heights[0][-1]
    np.testing.assert_allclose(heights[0], heights[1][::-1], atol=6)


def test_the_nearest_person_is_painted_last(monkeypatch):
    orders = []

    def feet(stage, time, figures, still):
        orders.append([figure.view.origin[:, 1].mean() for figure in figures])
        return np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(company, "draw_frame", feet)
    for index in range(4):
        actors.render_company(("bend", "run", "jump"), index=index)
    assert all(order == sorted(order) for order in orders)


def test_arms_circle_as_the_camera_sees_it_whoever_faces_it(monkeypatch):
    facings, standing = [], company._standing

    def noted(*arguments):
        scene = standing(*arguments)
        facings.append(scene.facing)
        return scene

    monkeypatch.setattr(company, "_standing", noted)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        stage = Scene((112, 112), "train", rng)
        stage.pan = 0.0
        figure = company._figure(stage, "circle_arms_clockwise", 0, 1, rng)
        _, fills = figure.parts[3]  # an arm, whose hand is drawn last
        hand = fills[-1][0].mean(axis=1)
        x, y = (hand - hand.mean(axis=0)).T
        turn = np.diff(np.unwrap(np.arctan2(y, x)))  # y goes down
        assert np.median(turn) > 0, facings
    assert set(facings) == {-1, 1}


def test_the_list_names_every_box(tmp_path):
    place = actors.generate_company(tmp_path, 2, seed=1, size=(64, 96))
    written = json.loads(place.read_text())
    paths = [video["name"] for video in written["videos"]]
    assert len(paths) == 2
    counts = [data.count_frames(tmp_path / path) for path in paths]
    assert len(written["images"]) == sum(counts)
    people = {row["track_id"] for row in written["annotations"]}
    boxes = np.array([row["bbox"] for row in written["annotations"]])
    assert 4 <= len(people) <= 6 and (boxes[:, 2:] >= 1).all()
    before = [(tmp_path / path).stat().st_mtime_ns for path in paths]
    again = actors.generate_company(tmp_path, 2, seed=1, size=(64, 96))
    assert json.loads(again.read_text()) == written
    after = [(tmp_path / path).stat().st_mtime_ns for path in paths]
    assert before == after


def test_boxes_are_never_those_of_other_videos(tmp_path):
    options = {"size": (64, 96), "people": (2, 2)}
    actors.generate_company(tmp_path, 1, **options)
    with pytest.raises(SpecError, match="drawn with seed=0.*Received: seed=1"):
        actors.generate_company(tmp_path, 1, seed=1, **options)
    with pytest.raises(SpecError, match="people="):
        actors.generate_company(tmp_path, 1, size=(64, 96))


def test_an_unknown_class_claims_no_folder(tmp_path):
    with pytest.raises(UnknownNameError, match="No action 'wave'"):
        actors.generate_company(
            tmp_path, 1, classes=("wave", "bend"), people=(1, 1)
        )
    assert not list(tmp_path.iterdir())


def test_wrong_arguments_are_named(tmp_path):
    with pytest.raises(UnknownNameError, match="No action 'wave'.*wave_hand"):
        actors.render_company(("wave",))
    with pytest.raises(UnknownNameError, match="No split 'tests'.*test"):
        actors.render_company(PAIR, split="tests")
    with pytest.raises(SpecError, match="a name for each person"):
        actors.render_company(())
    with pytest.raises(SpecError, match="even sizes.*Received: size"):
        actors.render_company(PAIR, size=(63, 96))
    with pytest.raises(SpecError, match="people=\\(2, 9\\), 8 classes"):
        actors.generate_company(tmp_path, 1, people=(2, 9))
