"""The states before and after an action, by hand."""

import itertools

import keras
import numpy as np
import pytest
from net_of_states import net_of_states
from small_model import small_model

import keras_twostream as kts
from keras_twostream import inspection
from keras_twostream.errors import SpecError
from keras_twostream.layers import boundaries
from keras_twostream.scoring.states import states

pytestmark = pytest.mark.agnostic


def test_the_closest_class_and_boundaries_are_the_answer():
    # Of 25 frames a precondition ends at 8 to 12, an effect starts at 13 to 17.
    distances = np.full((5, 5, 3), 1.0)
    distances[1, 3, 2] = 0.25
    times = np.arange(26) * 0.4
    result = states(distances, times)
    assert result.action == 2
    assert result.precondition == pytest.approx((0.0, 9 * 0.4))
    assert result.effect == pytest.approx((15 * 0.4, 25 * 0.4))
    assert result.distance == 0.25


def test_distances_of_another_clip_are_refused():
    with pytest.raises(SpecError, match=r"of 6 frames .*\(2, 2, n\)"):
        states(np.ones((5, 5, 3)), np.arange(7.0))


@pytest.fixture
def frames():
    drawn = np.random.default_rng(0).integers(0, 256, (40, 32, 40, 3))
    return drawn.astype("uint8")


@pytest.mark.parametrize("every_boundary", [True, False])
def test_a_prediction_says_what_was_before_and_after(frames, every_boundary):
    model = net_of_states(3, every_boundary=every_boundary)
    inspection.update_card(
        model, classes=["sit", "stand", "lift"], head_trained=True
    )
    prediction = kts.predict(frames, model)
    taps = keras.Model(
        model.inputs, model.get_layer("rgb_transformation").output
    )
    (distances,) = taps.predict_on_batch(kts.clips(frames, model))
    best = np.unravel_index(np.argmin(distances), distances.shape)
    result = prediction.states
    assert result.action == best[2]
    assert result.action == np.argmax(prediction.probabilities)
    # Eight of 40 frames at 25 a second.
    places = [*np.rint(np.linspace(0, 39, 8)) / 25, 1.6]
    pairs = list(itertools.product(*boundaries(8)))
    (_, end), (start, _) = pairs[best[0] * 3 + best[1]]
    assert result.precondition == pytest.approx((0, places[end]))
    assert result.effect == pytest.approx((places[start], 1.6))
    document = prediction.to_json()["states"]
    assert document["effect"] == pytest.approx(result.effect, abs=1e-3)
    assert document["action"] == prediction.top(1)[0][0]


def test_states_are_those_of_the_head_that_is_asked(frames):
    model = net_of_states(heads={"ours": 2, "theirs": 3})
    inspection.update_card(model, head_trained=True)
    for head, count in (("ours", 2), ("theirs", 3)):
        answer = kts.predict(frames, model, head=head)
        assert len(answer.classes) == count
        assert answer.states.action == np.argmax(answer.probabilities)


def test_other_models_have_no_states(frames):
    prediction = kts.predict(frames, small_model())
    assert prediction.states is None
    assert "states" not in prediction.to_json()
