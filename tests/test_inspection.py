"""Questions to a model, and the errors for wrong ones."""

import copy

import keras
import numpy as np
import pytest
from small_model import CLASSES, SPEC, small_model
from tiny_net import build

import keras_twostream as kts
from keras_twostream import inspection, training
from keras_twostream.errors import (
    SpecError,
    UnknownNameError,
    UntrainedHeadError,
)
from keras_twostream.layers import stream_inputs

__all__ = ["build"]


@pytest.fixture(scope="module")
def model():
    return small_model()


def test_taps_come_by_the_names_that_are_listed(model):
    assert "rgb.pool" in inspection.tap_names(model)
    assert list(kts.taps(model, ["rgb.pool"]).output) == ["rgb.pool"]


@pytest.mark.parametrize("asked", ["i3d", SPEC, None])
def test_what_is_no_model_is_said(asked):
    with pytest.raises(SpecError, match=f"a {type(asked).__name__}"):
        kts.clip_spec(asked)
    with pytest.raises(SpecError, match="keras_twostream.load"):
        inspection.card(asked)


def test_frames_of_a_clip_come_back_with_an_axis_of_time(build):
    net = build(streams=("rgb",))  # folds two steps into its batch
    clips = np.random.default_rng(0).uniform(0, 255, (3, 2, 24, 24, 3))
    taps = kts.taps(net, ["rgb.conv1", "rgb.unfold", "rgb.pool"])
    seen = taps.predict_on_batch({"rgb": clips})
    assert seen["rgb.conv1"].shape == (3, 2, 11, 11, 4)
    assert seen["rgb.unfold"].shape == (3, 2, 5, 5, 4)
    assert seen["rgb.pool"].shape == (3, 4)
    alone = taps.predict_on_batch({"rgb": clips[1:2]})["rgb.conv1"]
    np.testing.assert_allclose(seen["rgb.conv1"][1:2], alone, atol=1e-5)


def test_features_are_what_the_classifier_sees(model, build):
    assert inspection.feature_taps(model) == ["flow.pool", "rgb.pool"]
    assert inspection.feature_taps(build(streams=("rgb",))) == ["rgb.pool"]
    inputs, clips = stream_inputs(SPEC.replace(streams=("rgb",)))
    features = keras.layers.GlobalAveragePooling3D(
        data_format="channels_last", name="rgb_features"
    )(clips["rgb"])
    dropped = keras.layers.Dropout(0.5)(features)
    net = keras.Model(inputs, keras.layers.Dense(3, name="rgb_fc")(dropped))
    assert inspection.feature_taps(net) == ["rgb.features"]


def test_an_unknown_tap_brings_the_nearest(model):
    with pytest.raises(
        UnknownNameError, match=r"'rgb\.pol'. Did you mean rgb\.pool"
    ):
        kts.taps(model, ["rgb.pol"])
    with pytest.raises(UnknownNameError, match="no activation named 3"):
        kts.taps(model, [3])


def test_one_tap_must_be_in_a_list(model):
    with pytest.raises(SpecError, match=r"a list: \['rgb\.pool'\]"):
        kts.taps(model, "rgb.pool")
    with pytest.raises(SpecError, match="must name a tap"):
        kts.taps(model, [])


def test_each_data_set_has_heads_of_its_own():
    model = small_model(heads={"ucf101": 4, "hmdb51": 2})
    assert inspection.head_layers(model) == {
        f"{stream}_fc_{data_set}"
        for stream in ("rgb", "flow")
        for data_set in ("ucf101", "hmdb51")
    }


def test_a_head_whose_name_ends_like_another_keeps_its_classes():
    model = small_model(heads={"my_ucf": 4, "ucf": 2})
    assert len(inspection.class_names(model, "ucf")) == 2
    names = {"ucf": ["a", "b"], "my_ucf": ["c", "d", "e", "f"]}
    inspection.update_card(model, head_classes=names)
    for head, classes in names.items():
        assert inspection.class_names(model, head) == classes


@pytest.mark.parametrize(
    "classes",
    ["ab", b"ab", {"a", "b"}, {"a": 1, "b": 0}, ["a", None], [b"a", "b"]],
)
def test_classes_are_names_in_an_order(model, classes):
    with pytest.raises(SpecError, match="list of names|text, or a whole"):
        inspection.update_card(model, classes=classes)


class Wrapped(keras.Model):
    """A model of someone's own class around another one."""

    def __init__(self, model):
        super().__init__(name="wrapped")
        self.inner = model

    def call(self, clips):
        return self.inner(clips)


@pytest.mark.parametrize(
    "use",
    [
        inspection.head_is_trained,
        kts.deploy.folded,
        kts.with_flow,
        lambda model: kts.predict(np.zeros((9, 32, 32, 3), "uint8"), model),
    ],
)
def test_a_model_that_is_not_functional_is_refused(model, use):
    with pytest.raises(SpecError, match="wrapped is no model with inputs"):
        use(Wrapped(model))


def test_a_model_inside_that_is_not_functional_is_refused(model):
    outer = keras.Model(model.inputs, Wrapped(model)(model.inputs))
    with pytest.raises(SpecError, match="wrapped is no model.*Give the funct"):
        inspection.head_is_trained(outer)


def test_transformations_are_a_head():
    model = kts.models.action_transformation(
        3,
        streams=("flow",),
        flow_length=1,
        clip_length=2,
        embedding=4,
        clip_spec={"crop": (32, 32)},
    )
    assert inspection.head_layers(model) == {"flow_transformation"}


# === Trained heads ===


def changed_head(model, classes):
    fresh = keras.layers.Dense(classes, name="fresh")
    return keras.Model(model.inputs, fresh(model.output), name="changed")


def saved_and_loaded(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras", compile=False)


def test_a_trained_head_survives_saving_copying_and_nesting(model, tmp_path):
    nested = keras.Model(model.inputs, model(dict(zip(
        ("rgb", "flow"), model.inputs, strict=True
    ))))  # fmt: skip
    for again in (
        saved_and_loaded(model, tmp_path),
        copy.deepcopy(model),
        nested,
        saved_and_loaded(nested, tmp_path),
    ):
        assert inspection.head_is_trained(again)
        assert inspection.class_names(again) == list(CLASSES)


def test_a_clone_has_fresh_weights_and_is_untrained(model, tmp_path):
    clone = keras.models.clone_model(model)
    assert not inspection.head_is_trained(clone)
    assert not inspection.head_is_trained(saved_and_loaded(clone, tmp_path))
    with pytest.raises(UntrainedHeadError, match="small is random"):
        kts.predict(np.zeros((8, 32, 32, 3), "uint8"), clone)
    clone.set_weights(model.get_weights())
    inspection.keep_card(model, clone)
    assert inspection.head_is_trained(clone)


def test_weights_bring_their_mark(model, tmp_path):
    model.save_weights(tmp_path / "net.weights.h5")
    other = small_model(trained=False)
    other.load_weights(tmp_path / "net.weights.h5")
    assert inspection.head_is_trained(other)
    fresh = small_model(trained=False)
    fresh.save_weights(tmp_path / "net.weights.h5")
    other.load_weights(tmp_path / "net.weights.h5")
    assert not inspection.head_is_trained(other)


@pytest.mark.parametrize("classes", [3, 5])
def test_a_head_put_on_later_is_untrained(model, tmp_path, classes):
    changed = changed_head(model, classes)
    for net in (changed, saved_and_loaded(changed, tmp_path)):
        assert not inspection.head_is_trained(net)
        with pytest.raises(UntrainedHeadError, match="another one than the"):
            kts.predict(np.zeros((8, 32, 32, 3), "uint8"), net)
    assert inspection.head_is_trained(model)


def same_head(model):
    """The model with heads of the same names and shapes, drawn anew."""
    scores = []
    for name in ("rgb_fc", "flow_fc"):
        old = model.get_layer(name)
        scores.append(keras.layers.Dense(old.units, name=name)(old.input))
    fused = model.get_layer("scores")
    fresh = type(fused).from_config(fused.get_config())
    return keras.Model(model.inputs, fresh(scores))


def test_a_head_of_the_same_name_is_another(model):
    changed = same_head(model)
    changed.set_weights(model.get_weights())  # they fit
    assert not inspection.head_is_trained(changed)
    with pytest.raises(UntrainedHeadError, match="another one than the"):
        kts.predict(np.zeros((8, 32, 32, 3), "uint8"), changed)
    assert inspection.head_is_trained(model)
    # A step of training makes it the head that is trained, and so does a word.
    clips = {
        "rgb": np.zeros((1, 2, 24, 24, 3), "float32"),
        "flow": np.zeros((1, 2, 24, 24, 4), "float32"),
    }
    trained = same_head(small_model())
    trained(clips, training=True)
    assert inspection.head_is_trained(trained)
    inspection.update_card(changed, head_trained=True)
    assert inspection.head_is_trained(changed)
    assert inspection.head_is_trained(model)


def test_what_is_no_model_of_layers_is_said(model):
    for other in (keras.Sequential([model]), 3):
        with pytest.raises(SpecError, match="no model with inputs and outputs"):
            inspection.head_is_trained(other)


class Around(keras.Model):
    """A network of someone's own class, as loops of training have them."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def call(self, clips, training=None):
        return self.network(clips, training=training)


@pytest.mark.parametrize(
    "call",
    [
        lambda net, _: training.compile(net, "finetune", steps=1),
        lambda net, _: training.VideoEvaluation([("a", 0)]).set_model(net),
        lambda net, _: kts.taps(net, ["rgb.pool"]),
        lambda net, _: kts.predict(np.zeros((8, 32, 32, 3), "uint8"), net),
        lambda net, folder: kts.save_pretrained(net, folder / "saved"),
    ],
)
def test_a_model_of_someones_own_class_is_named(model, tmp_path, call):
    with pytest.raises(SpecError, match="around.* is no model with inputs and"):
        call(Around(model), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_head_put_on_later_can_be_trained(model):
    changed = changed_head(model, 3)
    changed.compile("sgd", "mse")
    clips = {
        "rgb": np.zeros((1, 2, 24, 24, 3)),
        "flow": np.zeros((1, 2, 24, 24, 4)),
    }
    changed.train_on_batch(clips, np.zeros((1, 3)))
    assert inspection.head_is_trained(changed)


def test_two_heads_on_the_same_layers_keep_their_own_classes(tmp_path):
    model = small_model()
    other = changed_head(model, 3)
    inspection.update_card(other, classes=["x", "y", "z"], multi_label=True)
    for net in (other, saved_and_loaded(other, tmp_path)):
        assert inspection.class_names(net) == ["x", "y", "z"]
        assert inspection.card(net)["multi_label"]
    for net in (model, saved_and_loaded(model, tmp_path)):
        assert inspection.class_names(net) == list(CLASSES)
        assert "multi_label" not in inspection.card(net)
    # Another number of classes did no longer fit.
    inspection.update_card(changed_head(model, 5), classes=list("abcde"))
    assert kts.clip_spec(model).classes == CLASSES


def test_classes_are_as_many_as_outputs(model):
    changed = changed_head(model, 5)
    with pytest.raises(SpecError, match="has 5 outputs and names 3 classes"):
        inspection.class_names(changed)


def test_a_clip_knows_the_classes_of_the_models_outputs(model, build):
    spec = kts.clip_spec(model)
    assert spec.classes == spec.replace(crop=(8, 8)).classes == CLASSES
    assert spec == kts.ClipSpec.from_json(spec.to_json())
    assert "classes" not in spec.to_json()
    assert "wave_hand" not in repr(spec) + spec._repr_html_()
    assert kts.clip_spec(changed_head(model, 5)).classes == ()
    several = build(heads={"ucf": 3, "hmdb": 3})
    inspection.update_card(several, classes=CLASSES)
    assert kts.clip_spec(several).classes == ()
    streams = build(3, outputs="streams")
    inspection.update_card(streams, classes=CLASSES)
    assert kts.clip_spec(streams).classes == CLASSES


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("abc", "must be a list of names"),
        (3, "must be a list of names"),
        (["wave", " ", "sit"], "is empty"),
    ],
)
def test_a_card_s_classes_are_names(model, classes, words):
    for changes in ({"classes": classes}, {"head_classes": {"a": classes}}):
        with pytest.raises(SpecError, match=words):
            inspection.update_card(model, **changes)


def test_a_card_takes_names_of_any_sequence():
    model = small_model()
    inspection.update_card(model, classes=np.array(["a", "b", "c"]))
    assert inspection.class_names(model) == ["a", "b", "c"]
    assert type(inspection.card(model)["classes"][0]) is str


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_head_that_diverged_is_not_trained(value):
    model = small_model()
    name = next(iter(inspection.head_layers(model)))
    bias = model.get_layer(name).bias
    bias.assign(np.full(bias.shape, value))
    assert not inspection.head_is_trained(model)
    with pytest.raises(UntrainedHeadError, match="not finite"):
        kts.predict(np.zeros((8, 32, 32, 3), "uint8"), model)


def test_a_network_of_one_size_takes_no_whole_frames():
    fixed = kts.models.c3d(3, variant="small", clip_spec={"crop": (32, 40)})
    with pytest.raises(SpecError, match="frames of 32 x 40 pixels alone"):
        inspection.check_whole_frames(fixed)
    with pytest.raises(SpecError, match="frames of 32 x 40 pixels alone"):
        kts.training.evaluate_videos(fixed, [("no.mp4", 0)], crops="whole")
    inspection.check_whole_frames(small_model())
