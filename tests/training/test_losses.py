"""Losses and accuracy, against Keras's, loops and cases worked by hand."""

import keras
import numpy as np
import pytest
from gradients import gradient

from keras_twostream.errors import SpecError
from keras_twostream.layers import ActionTransformations
from keras_twostream.training import ContrastiveCosine, CrossEntropy
from keras_twostream.training._losses import Accuracy

pytestmark = pytest.mark.agnostic

LOGITS = np.array([[2.0, 0.5, -1.0], [0.0, 3.0, 1.0]], "float32")


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_categorical_cross_entropy_of_smoothed_labels(smoothing):
    ours = CrossEntropy(smoothing)(np.array([0, 2]), LOGITS)
    keras_loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=smoothing
    )
    theirs = keras_loss(np.eye(3, dtype="float32")[[0, 2]], LOGITS)
    assert float(ours) == pytest.approx(float(theirs), rel=1e-5)


def test_losses_of_the_steps_of_a_clip_are_summed():
    steps = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    labels = np.array([2, 0])
    each = [float(CrossEntropy()(labels, steps[:, t])) for t in range(4)]
    assert float(CrossEntropy()(labels, steps)) == pytest.approx(sum(each))
    metric = Accuracy()
    metric.update_state(steps.mean(axis=1).argmax(axis=-1), steps)
    assert float(metric.result()) == 1.0


def test_negative_labels_add_nothing():
    loss = CrossEntropy()
    both = float(loss(np.array([0, -1]), LOGITS))
    first = float(loss(np.array([0]), LOGITS[:1]))
    assert both == pytest.approx(first / 2)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2.0, 5.0])])
def test_negative_labels_do_not_count_in_the_accuracy(weights):
    metric = Accuracy()
    logits = np.concatenate([LOGITS, LOGITS[:1]])
    metric.update_state(np.array([0, 1, -1]), logits, weights)
    assert float(metric.result()) == 1.0


def test_labels_beyond_the_classes_are_not_silent():
    assert np.isnan(float(CrossEntropy()(np.array([0, 3]), LOGITS)))


def test_vectors_are_no_class_numbers():
    with pytest.raises(SpecError, match="labels of shape .2, 3.*multi_label"):
        CrossEntropy()(np.eye(3, dtype="float32")[[0, 2]], LOGITS)


# === Actions ~ Transformations ===


def distances_of(before, after, matrices):
    """(1, P, E, n) cosine distances of embeddings (P, D) and (E, D)."""
    layer = ActionTransformations(len(matrices))
    states = [np.array([x], "float32") for x in (before, after)]
    layer.build([x.shape for x in states])
    layer.set_weights([np.array(matrices, "float32")])
    return keras.ops.convert_to_numpy(layer(states))


def test_equal_states_have_no_loss_under_the_identity():
    identity = np.eye(2)
    distances = distances_of([[1, 2]], [[1, 2]], [identity, -identity])
    np.testing.assert_allclose(distances[0, 0, 0], [0, 2], atol=1e-6)
    loss = ContrastiveCosine(scale=20.0)
    logits = -20 * distances
    assert float(loss(np.array([0]), logits)) == pytest.approx(0, abs=1e-5)
    # The other class: 2 away from its own, and 0.5 short of the margin.
    assert float(loss(np.array([1]), logits)) == pytest.approx(2.5, abs=1e-5)


def test_states_at_right_angles_have_a_loss_of_one():
    distances = distances_of([[1, 0]], [[0, 3]], [np.eye(2)] * 2)
    np.testing.assert_allclose(distances, 1.0, atol=1e-6)
    loss = ContrastiveCosine(scale=5.0)(np.array([0]), -5 * distances)
    assert float(loss) == pytest.approx(1, abs=1e-5)


def logits_of_boundaries(*shape):
    distances = np.random.default_rng(0).uniform(0, 2, shape)
    return (-7.0 * distances).astype("float32")


def by_hand(logits, label, pair=None, margin=0.5, push=1.0):
    """The loss of one video, from its (P, E, n) logits."""
    distances = -logits / 7.0
    own = distances[..., label]
    if pair is None:
        pair = np.unravel_index(np.argmin(own), own.shape)
    here = distances[pair]
    lacking = [max(0, margin - d) for i, d in enumerate(here) if i != label]
    return here[label] + push * sum(lacking)


def test_a_batch_as_large_as_the_effects_is_no_special_case():
    logits = logits_of_boundaries(4, 3, 4, 4)
    labels = np.array([0, 3, 1, 2])
    loss = ContrastiveCosine(scale=7.0, margin=0.8, push=0.3)
    expected = [
        by_hand(rows, label, margin=0.8, push=0.3)
        for rows, label in zip(logits, labels, strict=True)
    ]
    assert float(loss(labels, logits)) == pytest.approx(
        np.mean(expected), rel=1e-4
    )
    assert float(loss(labels[:, None], logits)) == pytest.approx(
        np.mean(expected), rel=1e-4
    )


def test_a_label_can_bring_its_boundaries():
    logits = logits_of_boundaries(3, 2, 4, 5)
    targets = np.array([[4, 1, 3], [0, 0, 2], [2, 1, 0]])
    expected = [
        by_hand(rows, label, (before, after))
        for rows, (label, before, after) in zip(logits, targets, strict=True)
    ]
    loss = ContrastiveCosine(scale=7.0)(targets, logits)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-4)


def test_only_the_chosen_boundaries_learn():
    logits = logits_of_boundaries(1, 2, 3, 2)
    loss = ContrastiveCosine(scale=7.0, margin=2.5)
    slope = gradient(lambda x: loss(np.array([1]), x), logits)[0]
    own = logits[0, ..., 1]
    best = np.unravel_index(np.argmax(own), own.shape)
    expected = np.zeros((2, 3, 2))
    expected[best] = np.array([1, -1]) / 7
    np.testing.assert_allclose(slope, expected, atol=1e-5)


def test_videos_without_a_label_add_nothing_to_the_contrastive_loss():
    logits = logits_of_boundaries(2, 2, 2, 3)
    both = float(ContrastiveCosine(7.0)(np.array([1, -1]), logits))
    assert both == pytest.approx(by_hand(logits[0], 1) / 2, rel=1e-4)
    assert np.isnan(float(ContrastiveCosine(7.0)(np.array([1, 3]), logits)))


def test_no_other_loss_takes_every_boundary():
    logits = logits_of_boundaries(4, 2, 4, 3)
    with pytest.raises(SpecError, match="Train them with ContrastiveCosine"):
        CrossEntropy()(np.zeros(4), logits)
    with pytest.raises(SpecError, match="needs the logits of every boundary"):
        ContrastiveCosine()(np.array([0, 1]), LOGITS)


def test_a_logit_that_is_no_number_is_not_right():
    """The place of the largest was 0, the number of the first class."""
    metric = Accuracy()
    logits = np.array([[np.nan, np.nan], [np.nan, 1.0], [2.0, 1.0]], "float32")
    metric.update_state(np.array([0, 1, 0]), logits)
    assert float(metric.result()) == pytest.approx(1 / 3)


def test_accuracy_takes_the_best_boundary_of_each_class():
    logits = logits_of_boundaries(4, 2, 4, 3)
    best = logits.max((1, 2)).argmax(-1)
    metric = Accuracy()
    metric.update_state(best, logits)
    assert float(metric.result()) == 1.0
    metric.update_state(np.stack([best, best * 0, best * 0], -1), logits)
    assert float(metric.result()) == 1.0
    metric.update_state((best + 1) % 3, logits)
    assert float(metric.result()) == pytest.approx(2 / 3)
