"""Saving to a folder and loading it back."""

import json
import shutil

import keras
import numpy as np
import pytest
import safetensors.numpy
from small_net import CLASSES, clips, logits

import keras_twostream as kts
from keras_twostream import hub, inspection
from keras_twostream.errors import SpecError, UnknownNameError, WeightsError

pytestmark = pytest.mark.portable


def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rewrite(folder, change):
    """Change the tensors and make the config's hash fit."""
    path = folder / "model.safetensors"
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    safetensors.numpy.save_file(tensors, path)
    edit_config(folder, sha256="")


@pytest.mark.agnostic
def test_a_reloaded_folder_gives_the_same_numbers(trained, folder):
    loaded = kts.load(f"local:{folder}")
    np.testing.assert_array_equal(logits(loaded), logits(trained))
    assert inspection.class_names(loaded) == CLASSES
    assert inspection.head_is_trained(loaded)
    assert kts.clip_spec(loaded) == kts.clip_spec(trained)


@pytest.mark.parametrize(
    ("place", "tag"),
    [
        ("My Run-2/model", "local_my_run_2"),
        ("actors", "local_actors"),
        ("видео", "local"),
        ("a" * 80, "local_" + "a" * 54),
    ],
)
def test_answers_name_the_folder_of_the_weights(folder, tmp_path, place, tag):
    shutil.copytree(folder, tmp_path / place)
    card = inspection.card(kts.load(f"local:{tmp_path / place}"))
    assert card["weights"] == f"{card['architecture']}.{tag}"


def test_keys_are_layer_and_variable(folder):
    keys = safetensors.numpy.load_file(folder / "model.safetensors")
    assert "rgb_conv1.kernel" in keys
    assert "flow_bn1.moving_variance" in keys


@pytest.mark.agnostic
def test_half_precision_halves_the_file(trained, folder, tmp_path):
    half = hub.save_pretrained(trained, tmp_path / "half", dtype="float16")
    size = (half / "model.safetensors").stat().st_size
    assert size < 0.7 * (folder / "model.safetensors").stat().st_size
    np.testing.assert_allclose(
        logits(kts.load(f"local:{half}")), logits(trained), rtol=0.05, atol=0.05
    )


@pytest.mark.agnostic
def test_facts_may_be_numbers_of_numpy(trained, tmp_path):
    rows = [{"name": "top1", "value": np.float32(0.5), "dataset": "x"}]
    hub.save_pretrained(trained, tmp_path, metrics=rows)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["metrics"][0]["value"] == 0.5


@pytest.mark.parametrize(
    ("facts", "error", "words"),
    [
        ({"metrics": [{"value": np.nan}]}, WeightsError, "not JSON compliant"),
        ({"metrics": [{"value": {1}}]}, WeightsError, "no value of JSON"),
        ({"metrics": None}, SpecError, "`metrics` must be a list"),
        ({"metrics": [3]}, SpecError, "`metrics` must be a list of dicts"),
        ({"metrics": {"value": 1}}, SpecError, "`metrics` must be a list"),
        ({"datasets": "ucf101"}, SpecError, "`datasets` must be a list"),
    ],
)
def test_facts_that_a_file_cannot_hold_are_refused(
    trained, tmp_path, facts, error, words
):
    with pytest.raises(error, match=words):
        hub.save_pretrained(trained, tmp_path, **facts)
    assert not (tmp_path / "config.json").exists()


def test_another_class_count_gets_a_fresh_head_and_says_so(folder, caplog):
    model = kts.load(f"local:{folder}", num_classes=5)
    assert model.output_shape == (None, 5)
    assert not inspection.head_is_trained(model)
    assert caplog.text.count("the classifier is a fresh one") == 1


def test_the_same_classes_keep_the_head(folder, caplog):
    model = kts.load(f"local:{folder}", classes=CLASSES)
    assert inspection.head_is_trained(model)
    assert not caplog.text


def test_classes_may_be_those_of_numpy(folder):
    assert inspection.head_is_trained(
        kts.load(f"local:{folder}", classes=np.array(CLASSES))
    )
    model = kts.load(f"local:{folder}", num_classes=np.int64(5))
    assert inspection.card(model)["options"]["num_classes"] == 5


@pytest.mark.parametrize("weights", ["default", None])
@pytest.mark.parametrize("fields", [3, kts.ClipSpec()], ids=type)
def test_fields_of_a_clip_come_in_a_dict(folder, fields, weights):
    name = "tiny" if weights is None else f"local:{folder}"
    with pytest.raises(SpecError, match="takes a dict of the fields"):
        kts.load(name, weights, clip_spec=fields)


def test_other_names_of_equal_number_get_a_fresh_head(folder):
    model = kts.load(f"local:{folder}", classes=["a", "b", "c"])
    assert inspection.class_names(model) == ["a", "b", "c"]
    assert not inspection.head_is_trained(model)


@pytest.mark.agnostic
def test_one_stream_of_two_can_be_loaded(trained, folder):
    model = kts.load(f"local:{folder}", streams=("flow",))
    ours, theirs = (
        keras.ops.convert_to_numpy(net.get_layer("flow_conv1").kernel)
        for net in (model, trained)
    )
    np.testing.assert_array_equal(ours, theirs)
    assert kts.clip_spec(model).streams == ("flow",)


def test_streams_spelled_out_keep_their_weights(folder, tmp_path):
    copy = copied(folder, tmp_path)
    spec = json.loads((copy / "config.json").read_text())["clip_spec"]
    edit_config(copy, clip_spec={**spec, "stream_weights": [1.0, 3.0]})
    model = kts.load(f"local:{copy}", streams=("flow", "rgb"))
    assert kts.clip_spec(model).stream_weights == (3.0, 1.0)


@pytest.fixture
def several(folder, tmp_path):
    """The folder of a network with a head for each of two data sets."""
    model = kts.load(f"local:{folder}", heads={"ucf101": 7, "hmdb51": 5})
    return hub.save_pretrained(model, tmp_path / "several")


@pytest.mark.agnostic
def test_heads_for_data_sets_replace_the_one(trained, several):
    model = kts.load(f"local:{several}")
    assert {k: v.shape[-1] for k, v in model.output.items()} == {
        "ucf101": 7,
        "hmdb51": 5,
    }
    assert inspection.class_names(model) == [str(i) for i in range(7)]
    np.testing.assert_array_equal(
        *(m.get_layer("rgb_conv1").get_weights()[0] for m in (model, trained))
    )


def test_the_classes_of_every_head_travel_with_the_weights(several, tmp_path):
    names = {"ucf101": list("abcdefg"), "hmdb51": list("vwxyz")}
    model = kts.load(f"local:{several}")
    inspection.update_card(model, head_classes=names)
    folder = hub.save_pretrained(model, tmp_path / "named")
    again = kts.load(f"local:{folder}")
    for head, classes in names.items():
        assert inspection.class_names(again, head) == classes
    assert inspection.class_names(again) == names["ucf101"]
    assert "hmdb51, 5: v, w, x, y, z" in (folder / "README.md").read_text()
    with pytest.raises(UnknownNameError, match="no head 'hmdb52'.*hmdb51"):
        inspection.class_names(again, "hmdb52")
    other = kts.load(f"local:{folder}", heads={"ucf101": 2})
    assert inspection.class_names(other, "ucf101") == ["0", "1"]


@pytest.mark.parametrize(
    "classes", [{"ucf101": ["a"]}, {"other": ["a"]}, {"ucf101": "abcdefg"}]
)
def test_names_that_do_not_fit_the_heads_are_refused(several, classes):
    edit_config(several, head_classes=classes)
    with pytest.raises(WeightsError, match="`head_classes` of .* must name as"):
        kts.load(f"local:{several}")


def test_one_head_replaces_those_for_data_sets(several):
    for changes in ({"classes": ["x", "y", "z"]}, {"heads": None}):
        model = kts.load(f"local:{several}", **changes)
        assert model.output_shape == (None, 3)
    model = kts.load(f"local:{several}")
    fresh = kts.pretrained.replace_head(model, ["x", "y", "z"])
    assert fresh.output_shape == (None, 3)
    assert inspection.class_names(fresh) == ["x", "y", "z"]


def test_free_options_change_nothing_of_the_weights(folder):
    model = kts.load(f"local:{folder}", clip_length=3, dropout=0.5)
    assert kts.clip_spec(model).clip_length == 3


def test_options_of_a_test_take_the_weights_of_training(tmp_path):
    """As the papers test: 25 steps, and windows of the last maps."""
    small = {"depth": 18, "width": 2, "clip_length": 2, "flow_length": 1}
    model = kts.models.spatiotemporal_resnet(3, streams=("rgb",), **small)
    hub.save_pretrained(model, tmp_path)
    options = {"clip_length": 3, "pool_window": 2}
    loaded = kts.load(f"local:{tmp_path}", **options)
    assert loaded.get_layer("rgb_pool5_windows").pool_size == (1, 2, 2)
    for mine, theirs in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_stacked_frames_begin_with_the_answers_to_one(folder, caplog):
    one = hub.load(f"local:{folder}", streams=("rgb",))
    spec = {"frames_per_step": 3}
    three = hub.load(f"local:{folder}", streams=("rgb",), clip_spec=spec)
    assert "fresh" not in caplog.text
    frame = clips()["rgb"]
    stack = {"rgb": np.concatenate([frame] * 3, axis=-1)}
    np.testing.assert_allclose(
        logits(three, stack), logits(one, {"rgb": frame}), atol=1e-5
    )


def test_the_clip_spec_of_the_weights_wins(folder, tmp_path):
    copy = copied(folder, tmp_path)
    spec = json.loads((copy / "config.json").read_text())["clip_spec"]
    edit_config(copy, clip_spec={**spec, "short_side": 128})
    assert kts.clip_spec(kts.load(f"local:{copy}")).short_side == 128


@pytest.mark.parametrize(
    ("asked", "follows"),
    [
        ({"flow_algorithm": "farneback"}, {"flow_parameters": {}}),
        ({"flow_algorithm": "dis"}, {"flow_parameters": {"finest_scale": 1}}),
        ({"stacking": "bidirectional"}, {"flow_offset": 0}),
        ({"streams": ("flow",)}, {"stream_weights": (2.0,)}),
    ],
)
def test_fields_of_a_weights_clip_follow_those_asked_for(
    folder, tmp_path, asked, follows
):
    copy = copied(folder, tmp_path)
    spec = json.loads((copy / "config.json").read_text())["clip_spec"]
    spec |= {"flow_parameters": {"finest_scale": 1}, "flow_offset": -1}
    edit_config(copy, clip_spec={**spec, "stream_weights": [1.0, 2.0]})
    loaded = kts.clip_spec(kts.load(f"local:{copy}", clip_spec=asked))
    for field, value in {**asked, **follows}.items():
        assert getattr(loaded, field) == value


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"width": 16}, "width=8 (you asked for 16)"),
        ({"stride": 1}, "stride=2 (you asked for 1)"),
        ({"flow_length": 7}, "flow_length=2 (you asked for 7)"),
    ],
)
def test_structural_options_must_be_the_weights_own(folder, options, text):
    with pytest.raises(WeightsError) as error:
        kts.load(f"local:{folder}", **options)
    assert text in str(error.value)


def test_an_unknown_option_is_named(folder):
    with pytest.raises(
        UnknownNameError, match=r"no option widht. Did you mean width"
    ):
        kts.load(f"local:{folder}", widht=50)


def test_a_bare_address_is_refused_with_what_to_write():
    with pytest.raises(
        UnknownNameError, match=r"no folder me/net.*hf://me/net"
    ):
        kts.load("me/net")


def test_missing_and_unexpected_keys_are_both_shown(folder, tmp_path):
    def rename(tensors):
        tensors["rgb_conv9.kernel"] = tensors.pop("rgb_conv1.kernel")

    copy = copied(folder, tmp_path)
    rewrite(copy, rename)
    with pytest.raises(WeightsError) as error:
        kts.load(f"local:{copy}")
    text = str(error.value)
    assert "missing in the weights (1):\n    rgb_conv1.kernel" in text
    assert "unknown to the model (1):\n    rgb_conv9.kernel" in text


@pytest.mark.agnostic
def test_a_wrong_shape_names_the_key_and_both_shapes(folder, tmp_path):
    def widen(tensors):
        tensors["rgb_conv1.kernel"] = np.zeros((7, 7, 4, 8), "float32")

    copy = copied(folder, tmp_path)
    rewrite(copy, widen)
    with pytest.raises(WeightsError) as error:
        kts.load(f"local:{copy}")
    text = str(error.value)
    assert "rgb_conv1.kernel has the shape (7, 7, 4, 8)" in text
    assert "variable has (7, 7, 3, 8)" in text


@pytest.mark.agnostic
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "key", ["rgb_conv1.kernel", "flow_bn1.moving_variance", "flow_fc.bias"]
)
def test_weights_that_are_no_numbers_are_refused(folder, tmp_path, key, value):
    def spoil(tensors):
        tensors[key] = tensors[key].copy()
        tensors[key].flat[-1] = value

    copy = copied(folder, tmp_path)
    rewrite(copy, spoil)
    with pytest.raises(WeightsError, match=f"{copy}.*{key} .*not finite"):
        kts.load(f"local:{copy}")


@pytest.mark.agnostic
def test_a_variance_below_zero_is_refused(folder, tmp_path):
    def spoil(tensors):
        tensors[key] = -tensors[key]

    key = "flow_bn1.moving_variance"
    copy = copied(folder, tmp_path)
    rewrite(copy, spoil)
    with pytest.raises(WeightsError, match=f"{copy}.*{key} .*variances below"):
        kts.load(f"local:{copy}")


def test_a_network_that_diverged_below_its_head_is_not_trained(
    folder, tmp_path
):
    model = kts.load(f"local:{folder}")
    kernel = model.get_layer("rgb_conv1").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    model.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert "not finite" in inspection.head_trouble(loaded)


def test_a_head_that_is_replaced_may_hold_anything(folder, tmp_path):
    def spoil(tensors):
        tensors["flow_fc.bias"] = np.full(3, np.nan, "float32")

    copy = copied(folder, tmp_path)
    rewrite(copy, spoil)
    assert kts.load(f"local:{copy}", num_classes=5).name == "tiny"


@pytest.mark.parametrize("dtype", ["int8", "bool"])
def test_weights_of_no_floating_type_are_refused(folder, tmp_path, dtype):
    def quantise(tensors):
        tensors["rgb_conv1.kernel"] = tensors["rgb_conv1.kernel"].astype(dtype)

    copy = copied(folder, tmp_path)
    rewrite(copy, quantise)
    with pytest.raises(WeightsError, match=f"rgb_conv1.kernel .*{dtype}"):
        kts.load(f"local:{copy}")


def test_numbers_too_large_for_half_precision_are_refused(folder, tmp_path):
    def enlarge(tensors):
        tensors["rgb_bn1.moving_variance"] = np.full(8, 1e6, "float32")

    copy = copied(folder, tmp_path)
    rewrite(copy, enlarge)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float16")
    try:
        with pytest.raises(WeightsError, match=r"up to 1e\+06, which float16"):
            kts.load(f"local:{copy}")
    finally:
        keras.config.set_dtype_policy(before)


def test_a_changed_file_is_reported_with_both_hashes(folder, tmp_path):
    copy = copied(folder, tmp_path)
    path = copy / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"expected sha256 .*\n.*received"):
        kts.load(f"local:{copy}")


def test_a_truncated_file_is_reported(folder, tmp_path):
    copy = copied(folder, tmp_path)
    path = copy / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    edit_config(copy, sha256="")
    with pytest.raises(WeightsError, match=r"cut off"):
        kts.load(f"local:{copy}")


def test_a_newer_format_asks_for_an_update(folder, tmp_path):
    copy = copied(folder, tmp_path)
    edit_config(copy, format=99)
    with pytest.raises(WeightsError, match=r"format 99.*Update it"):
        kts.load(f"local:{copy}")


def test_changed_layers_are_not_published(trained, tmp_path):
    head = keras.layers.Dense(2, name="mine")(trained.outputs[0])
    changed = keras.Model(trained.inputs, head)
    with pytest.raises(WeightsError, match=r"mine should be absent and is Den"):
        hub.save_pretrained(changed, tmp_path)


def test_a_foreign_model_is_not_published(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with pytest.raises(SpecError, match=r"no keras_twostream stream input"):
        hub.save_pretrained(model, tmp_path)


@pytest.mark.agnostic
def test_a_clone_can_be_published(trained, tmp_path):
    clone = keras.models.clone_model(trained)
    clone.set_weights(trained.get_weights())
    saved = hub.save_pretrained(clone, tmp_path / "clone")
    loaded = kts.load(f"local:{saved}")
    np.testing.assert_array_equal(logits(loaded), logits(trained))


def test_a_weight_of_another_architecture_is_refused():
    with pytest.raises(
        WeightsError,
        match="spatiotemporal_resnet.actors is not for 'tiny'. Write "
        r"load\('spatiotemporal_resnet'",
    ):
        kts.load("tiny", weights="spatiotemporal_resnet.actors")


@pytest.mark.agnostic
def test_random_weights_are_asked_for_by_name():
    model = kts.load("tiny", weights=None, classes=["a", "b"], width=4)
    assert inspection.class_names(model) == ["a", "b"]
    assert not inspection.head_is_trained(model)


@pytest.mark.parametrize("address", ["local:net", "hf://me/net"])
def test_random_weights_have_no_address(address):
    with pytest.raises(UnknownNameError, match=f"its name.*{address}"):
        kts.load(address, weights=None)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({"classes": ["a", "a"]}, "must be distinct names"),
        ({"classes": "walk"}, "must be a list of names"),
        ({"num_classes": 2, "heads": {"a": 2}}, "leave out `heads`"),
        ({"num_classes": 0}, "number of classes must be 1 or more"),
        ({"heads": {"a.b": 3}}, "names data sets with letters"),
        ({"clip_spec": {"short_sid": 9}}, "no field 'short_sid'.*short_side"),
        ({"clip_length": 2.5}, "`clip_length` must be a whole number"),
        ({"streams": None}, "`streams` must be a tuple"),
        ({"classes": ["a", "b"], "num_classes": 3}, "num_classes=3, 2 cla"),
    ],
)
def test_options_that_make_no_sense_are_refused(wanted, text):
    with pytest.raises(SpecError, match=text):
        kts.load("tiny", weights=None, **wanted)


def test_the_publisher_is_not_blamed_for_the_caller(folder):
    with pytest.raises(SpecError, match="cannot be built with.*dropout"):
        kts.load(f"local:{folder}", dropout="none")


def test_a_path_is_not_a_name(folder):
    with pytest.raises(UnknownNameError, match="local:<folder>"):
        kts.load(folder)


def test_an_untrained_head_is_announced(trained, tmp_path, caplog):
    clone = keras.models.clone_model(trained)
    inspection.update_card(clone, head_trained=False)
    saved = hub.save_pretrained(clone, tmp_path / "clone")
    kts.load(f"local:{saved}")
    assert "untrained, as it was saved" in caplog.text


@pytest.mark.agnostic
def test_clips_give_different_logits(trained):
    # Guards the tests above: equal logits must not be a constant.
    assert np.abs(logits(trained) - logits(trained, clips(1))).max() > 1e-3


# === Names that are no names ===


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TINY", "Did you mean tiny"),
        ("I3D", "Did you mean i3d"),
        ("SpatioTemporal-ResNet", "Did you mean spatiotemporal_resnet"),
        ("/abs/path", "is a path.*'local:/abs/path'"),
        ("./net", "is a path.*'local:./net'"),
        ("user/net", "no folder user/net.*hf://user/net.*local:PATH"),
    ],
)
def test_a_wrong_name_says_what_was_meant(name, text):
    with pytest.raises(UnknownNameError, match=text):
        kts.load(name)
    with pytest.raises(UnknownNameError, match=text):
        kts.predict(np.zeros((4, 32, 32, 3), "uint8"), name)


def test_a_folder_of_a_models_name_does_not_hide_the_model(
    tmp_path, monkeypatch
):
    (tmp_path / "i3d.imagenet").mkdir()
    monkeypatch.chdir(tmp_path)
    assert hub.weight_of("i3d.imagenet").architecture == "i3d"


def test_a_name_is_no_folder_to_push():
    with pytest.raises(WeightsError, match=r"no folder I3D.*load\('I3D'\)"):
        kts.push_to_hub("I3D", "me/net")


@pytest.mark.parametrize("field", ["classes", "note", "license"])
def test_control_characters_are_refused_in_a_config(folder, field):
    nasty = "a\x1b[2J"
    edit_config(folder, **{field: [nasty] * 3 if field == "classes" else nasty})
    with pytest.raises(WeightsError, match=f"`{field}` in .*control") as error:
        kts.load(f"local:{folder}")
    assert "\x1b" not in str(error.value)
