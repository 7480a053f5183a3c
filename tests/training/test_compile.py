"""Compilation by a recipe: losses, frozen layers, XLA, shares held out."""

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream import inspection, training
from keras_twostream.errors import SpecError
from keras_twostream.training import _compile, _xla


def _clips(batch=4):
    rng = np.random.default_rng(0)
    shape = (batch, 2, 24, 24)
    return {
        "rgb": rng.uniform(0, 255, (*shape, 3)).astype("float32"),
        "flow": rng.normal(size=(*shape, 4)).astype("float32"),
    }


@pytest.mark.agnostic
def test_fit_lowers_the_loss(build):
    model = build(dropout=0.0)
    training.compile(
        model, "actors", steps=30, learning_rate=0.05, label_smoothing=0.0
    )
    history = model.fit(
        _clips(), np.array([0, 1, 0, 1]), epochs=30, verbose=0
    ).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_of_half_precision_are_refused(build, kind):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(kind)
        coarse = build()
        keras.config.set_dtype_policy(f"mixed_{kind}")
        mixed = build()
    finally:
        keras.config.set_dtype_policy(before)
    with pytest.raises(SpecError, match=f"are of {kind} .* mixed_{kind}"):
        training.compile(coarse, "actors", steps=30)
    training.compile(mixed, "actors", steps=30)


@pytest.mark.agnostic
@pytest.mark.parametrize("centre", [0.0, -6.0])
def test_scores_that_are_close_are_told_apart_by_the_area(centre):
    rng = np.random.default_rng(0)
    truth = rng.random((40, 5)) < 0.3
    logits = centre + 0.05 * (rng.normal(size=(40, 5)) + truth)
    ahead = logits[truth][:, None] > logits[~truth]
    area = _compile._accuracy(multi_label=True)
    area.update_state(truth.astype("float32"), logits.astype("float32"))
    assert abs(float(area.result()) - ahead.mean()) < 0.01


@pytest.mark.agnostic
def test_one_loss_per_stream(build):
    model = build(outputs="streams")
    training.compile(
        model, "actors", steps=2, loss_weights={"rgb": 1.0, "flow": 0.5}
    )
    labels = np.array([0, 1, 0, 1])
    history = model.fit(
        _clips(), {"rgb": labels, "flow": labels}, verbose=0
    ).history
    total = history["rgb_loss"][0] + 0.5 * history["flow_loss"][0]
    assert history["loss"][0] == pytest.approx(total, rel=1e-4)


def test_the_weight_of_a_loss_that_is_not_there_is_refused(build):
    model = build(outputs="streams")
    message = "names 'motion', .* no such output.*flow, rgb"
    with pytest.raises(SpecError, match=message):
        training.compile(model, "actors", steps=2, loss_weights={"motion": 2.0})


def test_each_stream_has_a_metric_of_its_own(build):
    """One for both would count the videos of both."""
    model = build(outputs="streams")
    made = _compile._per_output(model, keras.metrics.Mean)
    assert set(made) == {"rgb", "flow"}
    assert made["rgb"] is not made["flow"]


@pytest.mark.agnostic
def test_partial_batch_norm_spares_the_first_of_each_stream(build):
    model = build()
    training.compile(model, "actors", steps=2, partial_batch_norm=True)
    trainable = {
        layer.name: layer.trainable
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert trainable == {
        "rgb_bn1": True,
        "flow_bn1": True,
        "rgb_bn2": False,
        "flow_bn2": False,
    }


@pytest.mark.agnostic
def test_partial_batch_norm_keeps_statistics(build):
    model = build()
    training.compile(model, "actors", steps=2, partial_batch_norm=True)
    frozen = model.get_layer("rgb_bn2").get_weights()
    first = model.get_layer("rgb_bn1").get_weights()
    model.fit(_clips(), np.array([0, 1, 0, 1]), verbose=0)
    for before, after in zip(
        frozen, model.get_layer("rgb_bn2").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, after)
    moved = model.get_layer("rgb_bn1").get_weights()
    assert not np.allclose(first[2], moved[2])


def test_frozen_layers_do_not_train(build):
    model = build()
    training.compile(model, "actors", steps=2, frozen=["^rgb_"])
    paths = [variable.path for variable in model.trainable_variables]
    assert paths and not any("rgb_" in path for path in paths)


def test_what_a_recipe_froze_the_next_one_thaws(build):
    model = build()
    model.get_layer("flow_conv1").trainable = False  # the user's own wish
    everything = len(model.trainable_variables)
    training.compile(
        model, "actors", steps=2, frozen=["^rgb_"], partial_batch_norm=True
    )
    assert len(model.trainable_variables) < everything
    training.compile(model, "actors", steps=2)
    assert len(model.trainable_variables) == everything


def test_layers_below_another_are_frozen(build):
    model = build()
    training.compile(model, "actors", steps=2, frozen_below="^rgb_bn2$")
    still = {layer.name for layer in model.layers if layer.trainable}
    assert not still & {"rgb_conv1", "rgb_bn1", "rgb_conv2"}
    assert still > {"rgb_bn2", "rgb_fc", "flow_conv1"}


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"fc"}), (2, {"fc", "conv2", "bn2"}), (3, None), (0, None)],
)
def test_the_last_layers_of_each_stream_train_alone(build, count, expected):
    model = build()
    training.compile(model, "actors", steps=2, retrain=count)
    layers = [layer for layer in model.layers if layer.trainable_weights]
    expected = expected or {"fc", "conv2", "bn2", "conv1", "bn1"}
    assert {layer.name for layer in layers} == {
        f"{stream}_{name}" for stream in ("rgb", "flow") for name in expected
    }


def test_dropout_stands_only_before_layers_that_train():
    """Karpathy et al. 2014, section 5: what does not train is a feature."""
    recipe = training.load_recipe("context_fovea_transfer")
    model = kts.models.context_fovea(
        2, **recipe.options, clip_spec={"crop": (32, 32)}
    )
    names = ("flat_dropout", "fc6_dropout", "fc7_dropout")
    for retrain, rates in ((1, (0, 0, 0.9)), (3, (0.9,) * 3), (0, (0.9,) * 3)):
        training.compile(model, recipe, steps=2, retrain=retrain)
        result = [model.get_layer(f"rgb_{name}").rate for name in names]
        assert tuple(result) == rates


def test_pattern_that_freezes_nothing_is_refused(build):
    with pytest.raises(SpecError, match="freezes layers that match 'fc99'"):
        training.compile(build(), "actors", steps=2, frozen=["fc99"])


def test_softmax_is_refused(build):
    model = build(classifier_activation="softmax")
    with pytest.raises(SpecError, match="ends in a softmax"):
        training.compile(model, "actors", steps=2)


def test_a_softmax_layer_of_ones_own_is_refused(build):
    model = build()
    scores = keras.layers.Softmax()(model.output)
    with pytest.raises(SpecError, match="ends in a softmax or sigmoid"):
        training.compile(keras.Model(model.inputs, scores), "actors", steps=2)


def test_model_without_architecture_needs_a_recipe(build):
    model = build()
    for layer in model.layers:
        if hasattr(layer, "card"):
            layer.card = {}
    with pytest.raises(SpecError, match="does not say its architecture"):
        training.compile(model)


def test_xla_by_measurement_changes_no_weights(build):
    model = build()
    before = model.get_weights()
    training.compile(model, "actors", steps=2, jit_compile="measure")
    assert model.jit_compile in (True, False)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_xla_is_measured_with_several_labels(build, monkeypatch):
    model, seen = build(5, outputs="streams"), []
    training.compile(model, "actors", steps=2, multi_label=True)
    test = model.test_on_batch
    monkeypatch.setattr(
        model, "test_on_batch", lambda *batch: seen.append(test(*batch))
    )
    assert _xla.faster_with_xla(model, multi_label=True) in (True, False)
    if keras.backend.backend() != "jax":
        assert len(seen) > _xla.TIMED_STEPS


def test_hold_out_takes_items_without_a_label():
    train, held = training.hold_out([(0, 1), (), (0,), ()], 0.5)
    assert sorted([*train, *held]) == [0, 1, 2, 3] and len(held) == 2


def test_hold_out_keeps_a_share_of_each_class():
    labels = [0] * 10 + [1] * 20 + [2]
    train, held = training.hold_out(labels, 0.2, seed=3)
    assert sorted([*train, *held]) == list(range(31))
    assert [sum(labels[i] == c for i in held) for c in range(3)] == [2, 4, 0]


@pytest.mark.parametrize("seed", range(6))
def test_a_recording_of_two_classes_is_held_out_of_both(seed):
    labels = [0] * 16 + [1] * 16
    groups = [f"tape{number // 2}" for number in range(16)] * 2
    train, held = training.hold_out(labels, 0.25, seed, groups)
    outside = {groups[place] for place in held}
    assert len(outside) == 2 and len(held) == 8
    assert outside.isdisjoint(groups[place] for place in train)


def test_a_recording_stays_that_is_the_only_one_of_a_class():
    # The first class has only the tape that the second has, too.
    labels, groups = [0, 0, 1, 1, 1], ["a", "a", "a", "b", "c"]
    for seed in range(6):
        train, held = training.hold_out(labels, 0.4, seed, groups)
        assert {0, 1, 2} <= set(train) and len(held) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 20}, "between 0 and 1. Received: share=20"),
        ({"share": 0.2, "groups": ["a"]}, "1 for 2 items"),
    ],
)
def test_a_share_is_a_part_and_every_item_has_a_recording(options, message):
    with pytest.raises(SpecError, match=message):
        training.hold_out([0, 1], **options)


def test_fused_copy_is_the_mean_of_the_streams(build, registered):
    model = build(outputs="streams")
    streams = model.predict_on_batch(_clips())
    fused = training.fused_copy(model)
    np.testing.assert_allclose(
        fused.predict_on_batch(_clips()),
        (streams["rgb"] + streams["flow"]) / 2,
        atol=1e-5,
    )
    assert training.fused_copy(fused) is fused


@pytest.mark.parametrize(
    "options", [{}, {"streams": ("rgb",)}, {"outputs": "streams"}]
)
def test_several_labels_are_no_shares_of_one(build, options):
    model = build(clip_spec={"score_fusion": "softmax"}, **options)
    with pytest.raises(SpecError, match="'score_fusion': 'logits'"):
        training.compile(model, "actors", steps=2, multi_label=True)


def test_every_compile_states_anew_whether_videos_have_several_labels(build):
    model = build()
    training.compile(model, "actors", steps=2, multi_label=True)
    assert inspection.card(model)["multi_label"]
    training.compile(model, "actors", steps=2)
    assert not inspection.card(model).get("multi_label")


@pytest.mark.parametrize("fusion", ["conv3d", "sum", "conv"])
def test_fused_towers_stay_below_the_fusion(fusion):
    model = kts.models.two_stream_fusion(
        2,
        fusion=fusion,
        backbones=("cnn_m", "cnn_m"),
        clip_length=2,
        flow_length=1,
        outputs="streams",
    )
    training.compile(model, "two_stream_fusion", steps=2)
    still = {x.name for x in model.layers if x.weights and x.trainable}
    assert not any("conv" in name for name in still if "fused" not in name)
    assert {"rgb_full6", "flow_full6", "rgb_fc8"} <= still


def test_xla_is_chosen_by_its_words(build):
    with pytest.raises(SpecError, match="Received: jit_compile='off'"):
        training.compile(build(), "actors", steps=2, jit_compile="off")


@pytest.mark.parametrize(
    "sizes, share, held",
    [
        ({"a": 90, "b": 10}, 0.15, {"b"}),
        ({"a": 60, "b": 40}, 0.1, {"b"}),
        ({"a": 20}, 0.5, set()),
        ({"a": 9, "b": 1}, 0.0, set()),
    ],
)
def test_hold_out_does_not_take_a_recording_that_is_far_too_large(
    sizes, share, held
):
    groups = [name for name, size in sizes.items() for _ in range(size)]
    for seed in range(8):
        _, places = training.hold_out([0] * len(groups), share, seed, groups)
        assert {groups[place] for place in places} == held
        assert len(places) == sum(sizes[name] for name in held)
