"""Names, plugins and one new file: what it takes to add a model."""

import importlib.metadata
import sys
import textwrap

import pytest

import keras_twostream as kts
from keras_twostream import registry
from keras_twostream.errors import RegistrationError, UnknownNameError


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a throw-away package with one entry point."""

    def install(body: str, entry: str = "tiny_net = tiny_plugin:tiny_net"):
        (tmp_path / "tiny_plugin.py").write_text(textwrap.dedent(body))
        info = tmp_path / "tiny_plugin-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Name: tiny-plugin\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[{registry.MODEL_GROUP}]\n{entry}\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))
        importlib.invalidate_caches()

    yield install
    sys.modules.pop("tiny_plugin", None)
    registry._registered.pop("tiny_net", None)


TINY = """
    import keras
    import keras_twostream as kts
    from keras_twostream.layers import classifier, stream_inputs

    @kts.register_model(paper="Doe, A tiny net, 2026")
    def tiny_net(num_classes=3, *, streams=("rgb",)):
        spec = kts.ClipSpec(streams=streams)
        inputs, x = stream_inputs(spec)
        x = {s: keras.layers.GlobalAveragePooling3D()(x[s]) for s in x}
        scores = classifier(
            x, num_classes, fusion="logits", stream_weights=(1.0,)
        )
        return keras.Model(inputs, scores, name="tiny_net")
"""


def test_a_new_architecture_needs_one_file(plugin):
    plugin(TINY)
    assert "tiny_net" in kts.list_models()
    assert "tiny_plugin" not in sys.modules
    model = kts.models.tiny_net(num_classes=4)
    assert model.output_shape == (None, 4)
    assert registry.model_source("tiny_net") == "tiny-plugin"


def test_a_broken_plugin_is_named_and_harms_nothing_else(plugin):
    plugin("raise RuntimeError('oh no')")
    assert "two_stream" in kts.list_models()
    with pytest.raises(RegistrationError, match=r"tiny_plugin.*oh no"):
        registry.model_entry("tiny_net")


def test_a_plugin_that_registers_nothing_is_told_to_use_the_decorator(plugin):
    plugin("def tiny_net():\n    return None")
    with pytest.raises(RegistrationError, match="needs the decorator"):
        registry.model_entry("tiny_net")


def test_a_plugin_may_not_take_a_name_of_ours(plugin):
    plugin(TINY, "two_stream = tiny_plugin:tiny_net")
    with pytest.raises(RegistrationError, match=r"two_stream.*has already"):
        registry.model_entry("two_stream")


def test_a_plugin_that_takes_a_name_harms_no_other_name(plugin):
    before = kts.list_models()
    plugin(
        TINY,
        "two_stream = tiny_plugin:tiny_net\ntiny_net = tiny_plugin:tiny_net",
    )
    assert kts.list_models() == sorted([*before, "tiny_net"])
    assert registry.model_entry("c3d").name == "c3d"
    assert registry.model_entry("tiny_net").paper


def test_a_program_may_not_take_the_name_of_a_plugin(plugin):
    plugin(TINY)

    def tiny_net():
        return None

    with pytest.raises(RegistrationError, match="tiny_plugin already"):
        registry.register_model(paper="none")(tiny_net)
    assert registry.model_entry("tiny_net").paper


def test_a_name_is_registered_once():
    def two_stream():
        return None

    with pytest.raises(RegistrationError, match="registered by keras_two"):
        kts.register_model(paper="none")(two_stream)


def test_a_model_made_of_another_is_known_by_its_own_name():
    outer, inner = (registry.Build(name, {}) for name in ("outer", "inner"))
    with registry._building(outer):
        with registry._building(inner):
            assert registry.current_build() is outer
        assert registry.current_build() is outer
    assert registry.current_build() is None


def test_an_unknown_name_brings_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean two_stream"):
        registry.model_entry("two_streams")


def test_an_unknown_option_brings_the_nearest():
    with pytest.raises(UnknownNameError, match=r"option dept\..*depth"):
        kts.models.spatiotemporal_resnet(dept=18)


def test_patterns_select_names():
    assert kts.list_models("*resnet*") == ["spatiotemporal_resnet"]
