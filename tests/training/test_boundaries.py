"""EM over the boundaries of actions, against brute force."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from net_of_states import ENTRY, net_of_states

import keras_twostream as kts
from keras_twostream import registry, training
from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.layers import boundaries
from keras_twostream.training import BoundaryTable, ContrastiveCosine

pytestmark = pytest.mark.portable

RECIPE = training.load_recipe("action_transformation").replace(
    options={}, epochs=3, batch_size=4, learning_rate=0.5
)


@pytest.fixture
def net(monkeypatch):
    """A model, with the name that copies of it are built by."""
    monkeypatch.setitem(registry._registered, "net_of_states", ENTRY)
    return net_of_states()


def clips(count):
    drawn = np.random.default_rng(0).integers(0, 256, (count, 8, 24, 24, 3))
    return {"rgb": drawn.astype("float32")}


def test_a_video_is_cut_in_the_middle_at_first():
    table = BoundaryTable([("a.mp4", 0), ("b.mp4", 1)], clip_length=25)
    assert table.frames == {"a.mp4": (12, 13), "b.mp4": (12, 13)}


@pytest.mark.parametrize("length", range(2, 40))
def test_every_length_has_a_middle(length):
    ((before, after),) = BoundaryTable([("a", 0)], length).frames.values()
    assert (before, after) == (length // 2, length // 2 + 1)


@pytest.mark.agnostic
def test_the_search_finds_what_trying_all_finds(net):
    items = [("a", 0), ("b", 1), ("c", 1)]
    table, batch = BoundaryTable(items, 8), clips(3)
    tensors = tf.data.Dataset.from_tensors((batch, np.arange(3)))
    before = table.pairs.copy()
    changed = table.search(net, tensors)
    assert changed == (table.pairs != before).any(axis=1).sum() > 0
    assert table.search(net, tensors) == 0
    colours, embedding = (
        net.get_layer(f"rgb_{name}") for name in ("colours", "embedding")
    )
    taps = keras.Model(net.inputs, colours.output)
    frames = np.asarray(taps.predict_on_batch(batch))
    (kernel, bias), (matrices,) = (
        embedding.get_weights(),
        net.get_layer("rgb_transformation").get_weights(),
    )
    for (path, label), rows in zip(items, frames, strict=True):
        tried = {}
        for (_, end), (start, _) in itertools.product(*boundaries(8)):
            f_p = (rows[:end].mean(0) @ kernel + bias) @ matrices[label]
            f_e = rows[start:].mean(0) @ kernel + bias
            cosine = f_p @ f_e / np.linalg.norm(f_p) / np.linalg.norm(f_e)
            tried[end, start + 1] = 1 - cosine
        assert table.frames[path] == min(tried, key=tried.get)


def test_clips_get_their_class_and_boundaries():
    table = BoundaryTable([("a", 5), ("b", 7)], 25)
    table.pairs[1] = (0, 3)
    videos = tf.data.Dataset.from_tensors(({"rgb": [0.0]}, [1, 0, 1]))
    ((_, targets),) = table.targets(videos)
    assert np.asarray(targets).tolist() == [[7, 0, 3], [5, 4, 0], [7, 0, 3]]


def test_boundaries_are_kept_between_runs(tmp_path):
    items = [("a", 0), ("b", 1)]
    table, again = BoundaryTable(items, 25), BoundaryTable(items, 25)
    table.pairs[0] = (1, 2)
    table.save(tmp_path / "boundaries.json")
    again.load(tmp_path / "boundaries.json")
    assert again.frames == table.frames == {"a": (9, 15), "b": (12, 13)}
    for other in (BoundaryTable([("c", 0)], 25), BoundaryTable(items, 60)):
        with pytest.raises(WeightsError, match="of other videos or of clips"):
            other.load(tmp_path / "boundaries.json")


def test_the_recipe_compiles_the_contrastive_loss(net):
    training.compile(net, RECIPE, steps=10, margin=0.7)
    assert isinstance(net.loss, ContrastiveCosine)
    assert (net.loss.scale, net.loss.margin) == (10.0, 0.7)
    with pytest.raises(SpecError, match="one class per video"):
        training.compile(net, RECIPE, steps=10, multi_label=True)


@pytest.mark.agnostic
@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("batch_size", [2, 3, 5])
def test_any_batch_fits(net, batch_size):
    # Eight frames have 3 preconditions and 3 effects.
    training.compile(net, RECIPE, steps=60)
    history = net.fit(
        clips(5),
        np.array([0, 1, 0, 1, 1]),
        batch_size=batch_size,
        epochs=20,
        verbose=0,
    ).history
    assert history["loss"][-1] < history["loss"][0]


@pytest.mark.agnostic
def test_a_trained_network_takes_its_best_boundaries(net):
    used = training.fused_copy(net)
    batch = clips(3)
    np.testing.assert_allclose(
        used.predict_on_batch(batch),
        np.asarray(net.predict_on_batch(batch)).max((1, 2)),
        rtol=1e-4,
        atol=1e-5,
    )
    assert training.fused_copy(used) is used


def test_evaluation_takes_the_best_boundaries(net, items):
    options = {"num_clips": 1, "workers": 1}
    used = training.fused_copy(net)
    scores = [
        training.evaluate_videos(model, items[:3], **options).scores["fused"]
        for model in (net, used)
    ]
    assert scores[0].shape == (3, 2)
    np.testing.assert_allclose(*scores, rtol=1e-4, atol=1e-5)


def test_a_network_of_fused_boundaries_has_nothing_to_search(items, tmp_path):
    model = net_of_states(every_boundary=False)
    with pytest.raises(SpecError, match="Build it with every_boundary=True"):
        training.train(model, items, RECIPE, tmp_path)


class _Killed(Exception):
    pass


class _KillAt(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self._place, self._epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self._epoch, batch) == self._place:
            raise _Killed


def train(model, items, out, callbacks=()):
    settings = training.RunSettings(
        checkpoint_seconds=0.0, workers=1, keep="last"
    )
    return training.train(
        model, items, RECIPE, out, settings=settings, callbacks=callbacks
    )


@pytest.mark.usefixtures("untraced")
def test_a_killed_run_goes_on_with_its_boundaries(items, tmp_path):
    keras.utils.set_random_seed(3)
    whole = net_of_states()
    start = whole.get_weights()
    train(whole, items, tmp_path / "whole")
    cut, again = net_of_states(), net_of_states()
    cut.set_weights(start)
    with pytest.raises(_Killed):
        train(cut, items, tmp_path / "cut", [_KillAt(1, 2)])
    train(again, items, tmp_path / "cut")
    for one, other in zip(
        whole.get_weights(), again.get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4)
    written = [
        (tmp_path / run / "boundaries.json").read_text()
        for run in ("whole", "cut")
    ]
    assert written[0] == written[1]
    assert kts.inspection.head_is_trained(again)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="of TensorFlow's traces"
)
def test_a_step_is_traced_once_for_all_rounds(items, tmp_path, monkeypatch):
    traces, step = [], keras.Model.train_step

    def counted(self, data):
        traces.append(len(traces))
        return step(self, data)

    monkeypatch.setattr(keras.Model, "train_step", counted)
    train(net_of_states(), items, tmp_path)
    assert traces == [0]
