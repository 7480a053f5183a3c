"""Proposals by name: ours finds actors, each refuses what is another's."""

import numpy as np
import pytest

from keras_twostream import actors, flow
from keras_twostream.detection import geometry, saliency, windows
from keras_twostream.detection.proposals import propose, salient
from keras_twostream.errors import MissingLibraryError, SpecError
from keras_twostream.regions import RegionSpec


@pytest.fixture(scope="module")
def moments():
    """(frame, flow, true boxes) of five scenes of people never trained on."""
    result = []
    for index in range(5):
        frames, boxes = actors.render_company(
            ("sit_down", "wave_flag", "jumping_jack"), index=index, split="test"
        )
        for time in (len(frames) // 3, 2 * len(frames) // 3):
            pair = frames[time : time + 2]
            field = flow.compute(pair, "farneback")[0]
            result.append((frames[time], field, boxes[time]))
    return result


def recall(moments, limit):
    spec = RegionSpec(limit=limit, saliency="none")
    best = [
        geometry.overlaps(truth, propose(spec, frame, field)).max(axis=1)
        for frame, field, truth in moments
    ]
    return float((np.concatenate(best) >= 0.5).mean())


def test_sixty_windows_hold_the_people(moments):
    assert recall(moments, 60) >= 0.95


def test_better_windows_come_first(moments):
    """The best ten already hold half of them; chance would be a tenth."""
    assert recall(moments, 10) >= 0.5


def test_windows_lie_in_the_frame_and_none_comes_twice(moments):
    frame, field, _ = moments[0]
    boxes = propose(RegionSpec(limit=50, saliency="none"), frame, field)
    assert boxes.shape == (50, 4)
    height, width = frame.shape[:2]
    assert boxes.min() >= 0 and boxes[:, 2].max() <= width - 1
    assert boxes[:, 3].max() <= height - 1
    assert len(np.unique(boxes, axis=0)) == 50


def test_a_window_s_contrast_is_that_of_its_pixels_with_its_ring():
    image = np.zeros((40, 60), "float32")
    image[10:20, 20:40] = 2.0
    inside = np.array([[20, 10, 39, 19]], "float32")
    wanted = 2.0 / image.mean()  # the ring is black
    np.testing.assert_allclose(windows._contrast(inside, image), wanted)
    half = np.array([[20, 10, 39, 29]], "float32")
    left, top, right, low = 16, 6, 43, 33  # a fifth of the sides further out
    ring = image[top : low + 1, left : right + 1]
    rest = (ring.sum() - 400) / (ring.size - 400)
    wanted = (1.0 - rest) / image.mean()
    np.testing.assert_allclose(windows._contrast(half, image), wanted)


def test_only_what_moves_enough_stays():
    field = np.zeros((40, 60, 2), "float32")
    field[10:20, 10:20, 0] = 4.0
    boxes = np.array([[8, 8, 22, 22], [30, 5, 50, 30], [10, 10, 14, 19]], "f4")
    kept = salient(RegionSpec(), boxes, field)
    assert kept.tolist() == boxes[[0, 2]].tolist()
    kept = salient(RegionSpec(least_saliency=0.6), boxes, field)
    assert kept.tolist() == boxes[[0]].tolist()
    moving = saliency.magnitude(field)
    means = saliency.mean_within(boxes, moving)
    spec = RegionSpec(saliency="mean", least_saliency=float(means[0]) + 0.01)
    assert salient(spec, boxes, field).tolist() == boxes[[2]].tolist()
    assert len(salient(RegionSpec(saliency="none"), boxes, field)) == 3


def test_given_boxes_are_cut_to_the_frame():
    spec = RegionSpec(proposals="boxes", saliency="none")
    frame, field = np.zeros((20, 30, 3), "uint8"), np.zeros((20, 30, 2), "f4")
    given = [[-5, 2, 10, 40], [-5, 2, 10, 40]]
    boxes = propose(spec, frame, field, given)
    assert boxes.tolist() == [[0, 2, 10, 19]]
    assert propose(spec, frame, field, []).shape == (0, 4)


def test_boxes_and_proposals_do_not_stand_in_for_each_other(moments):
    frame, field, truth = moments[0]
    with pytest.raises(SpecError, match="trained on the proposals 'windows'"):
        propose(RegionSpec(), frame, field, truth)
    with pytest.raises(SpecError, match="boxes that its user gives, and none"):
        propose(RegionSpec(proposals="boxes"), frame, field)


def test_unknown_parameters_are_named(moments):
    frame, field, _ = moments[0]
    spec = RegionSpec(parameters={"size": 3})
    with pytest.raises(SpecError, match="no parameter 'size'. It takes: small"):
        propose(spec, frame, field)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"step": 1.0}, "`step` must be greater than 1"),
        ({"smallest": 0}, "`smallest` must be greater than 0"),
        ({"smallest": 0.5, "largest": 0.4}, "`largest` must be 0.5 or more"),
        ({"stride": 0}, "`stride` must be greater than 0"),
        ({"apart": 2}, "`apart` must lie between 0 and 1"),
        ({"shapes": ["wide"]}, "`shapes` must be greater than 0"),
        ({"shapes": []}, r"shapes` \[\] fits a frame of \d+x\d+"),
        ({"shapes": [9.0]}, r"shapes` \[9.0\] fits a frame"),
    ],
)
def test_windows_without_sense_are_refused(moments, parameters, message):
    frame, field, _ = moments[0]
    with pytest.raises(SpecError, match=message):
        propose(RegionSpec(parameters=parameters), frame, field)


@pytest.mark.parametrize("parameters", [None, 3, ["scales"]])
def test_parameters_are_a_dict(parameters):
    with pytest.raises(SpecError, match="`parameters` must be a dict"):
        RegionSpec.from_json({"parameters": parameters})


def test_selective_search_where_opencv_has_it(moments):
    import cv2

    frame, field, truth = moments[0]
    spec = RegionSpec(proposals="selective_search", saliency="none")
    if not hasattr(cv2, "ximgproc"):
        with pytest.raises(MissingLibraryError, match="proposals='windows'"):
            propose(spec, frame, field)
        return
    boxes = propose(spec, frame, field)
    assert (geometry.overlaps(truth, boxes).max(axis=1) >= 0.5).mean() >= 0.5


def test_a_region_spec_survives_json_and_loses_another_source_s_parameters():
    spec = RegionSpec(parameters={"stride": 0.5}, limit=9)
    assert RegionSpec.from_json(spec.to_json()) == spec
    assert spec.replace(limit=8).parameters == {"stride": 0.5}
    assert spec.replace(proposals="boxes").parameters == {}
