"""Disks that fill up, refuse or are interrupted harm nothing that is whole."""

import json
import os
import types

import numpy as np
import pytest
from small_net import logits

import keras_twostream as kts
from keras_twostream import _files, hub
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    WeightSpec,
    _locks,
    _safetensors,
    _saving,
    _tensors,
    _verify,
)


def refuse(*args, **kwargs):
    raise OSError(28, "No space left on device")


def interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_others_may_read_tensors_as_they_may_other_files(tmp_path):
    _safetensors.write({"a": np.ones(1)}, tmp_path / "tensors", {})
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


# === Published folders ===


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (_verify, "sha256_of"),
        (_saving._folder, "config_text"),
        (_files, "_sync"),
    ],
)
def test_saving_again_keeps_the_old_until_the_new_is_whole(
    trained, folder, monkeypatch, module, name
):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(module, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        hub.save_pretrained(trained, folder, dtype="float16")
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before


def test_saving_again_replaces_the_weights(trained, folder):
    hub.save_pretrained(trained, folder, dtype="float16")
    np.testing.assert_allclose(
        logits(kts.load(f"local:{folder}")),
        logits(trained),
        rtol=0.05,
        atol=0.05,
    )


def test_late_facts_never_leave_half_a_file(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(WeightsError, match="Cannot write into .*Make room, or"):
        _saving.state_facts(folder, {"license": "apache-2.0"})
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before


def test_late_facts_reach_the_card_after_an_interrupt(folder, monkeypatch):
    facts = {"license": "apache-2.0"}
    with monkeypatch.context() as patch:
        write = _files.write_text
        left = iter([write, interrupt])
        patch.setattr(_files, "write_text", lambda *a: next(left)(*a))
        with pytest.raises(KeyboardInterrupt):
            _saving.state_facts(folder, facts)
    _saving.state_facts(folder, facts)
    config = json.loads((folder / "config.json").read_text())
    assert config["license"] == "apache-2.0"
    assert "Weights: apache-2.0" in (folder / "README.md").read_text()


def test_a_file_is_no_folder_to_save_into(trained, tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(
        WeightsError, match="Cannot write into .*taken: .*another folder"
    ):
        hub.save_pretrained(trained, tmp_path / "taken")


# === The cache ===


@pytest.fixture
def converted(caches, trained, monkeypatch):
    """A call that loads foreign weights through the cache."""
    arrays = {"rgb_conv1.kernel": np.ones((7, 7, 3, 8), "float32")}
    monkeypatch.setattr(_tensors, "_converted", lambda *args: arrays)
    spec = WeightSpec(
        name="tiny.foreign",
        repo_id="me/foreign",
        layout="torchvision_resnet",
        license="mit",
        data_terms="none",
        origin="converted",
    )
    return lambda: _tensors.tensors(spec, trained, set(), True)


def test_a_cache_that_cannot_be_made_names_the_variable(converted, caches):
    (caches / "ours").write_text("no folder")
    with pytest.raises(
        WeightsError, match="into .*ours.converted: .*KERAS_TWOSTREAM_HOME"
    ):
        converted()


def test_a_conversion_that_cannot_be_kept_leaves_nothing(
    converted, caches, monkeypatch
):
    monkeypatch.setattr(_safetensors.safetensors.numpy, "save_file", refuse)
    with pytest.raises(WeightsError, match="No space.*KERAS_TWOSTREAM_HOME"):
        converted()
    kept = names(caches / "ours" / "converted")
    assert [name for name in kept if not name.endswith(".lock")] == []


def test_a_cache_that_is_only_read_needs_no_lock(converted, monkeypatch):
    first = converted()
    monkeypatch.setattr(_tensors, "locked", refuse)
    np.testing.assert_equal(converted(), first)


def test_a_local_file_that_changes_is_converted_again(
    caches, trained, tmp_path
):
    spec = WeightSpec(
        name="tiny.foreign",
        folder=str(tmp_path),
        filename="net.safetensors",
        layout="identity",
        license="mit",
        data_terms="none",
        origin="converted",
        adaptation={"fresh": ["*_bn1.*", "*_fc.*", "flow_*"]},
    )
    kernel = np.ones((7, 7, 3, 8), "float32")
    for value in (1, 2):
        path = tmp_path / spec.filename
        _safetensors.write({"conv1.kernel": value * kernel}, path, {})
        os.utime(path, ns=(value, value))
        tensors = _tensors.tensors(spec, trained, {"rgb_fc", "flow_fc"}, False)
        np.testing.assert_equal(tensors, {"rgb_conv1.kernel": value * kernel})


def test_what_another_process_made_meanwhile_is_not_made_again(
    trained, tmp_path, monkeypatch
):
    made = iter([False, True])
    monkeypatch.setattr(_tensors, "_folder", lambda *_: tmp_path / "made")
    monkeypatch.setattr(_tensors, "_is_whole", lambda folder: next(made))
    monkeypatch.setattr(_tensors, "_stored", lambda *_: {"a": 1})
    monkeypatch.setattr(_tensors, "_converted", None)
    spec = types.SimpleNamespace(layout="foreign")
    assert _tensors.tensors(spec, trained, set(), True) == {"a": 1}


def test_trouble_inside_a_lock_is_left_as_it_is(tmp_path):
    with (
        pytest.raises(OSError, match="No space"),
        _locks.locked(tmp_path / "a"),
    ):
        refuse()


def test_a_check_that_cannot_be_remembered_is_made_again(caches, tmp_path):
    (caches / "ours").write_text("no folder")
    path = tmp_path / "file"
    path.write_bytes(b"")
    _verify.verify(path, _verify.sha256_of(path), "")
