"""Saving over a folder: the old model or the new one, at every instant."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
from small_net import logits, randomize

import keras_twostream as kts
from keras_twostream import hub, inspection, registry
from keras_twostream.pretrained import _commit, _folder, _select, _sources


def names(folder):
    return sorted(n for n in os.listdir(folder) if n != ".lock")


def whole(folder):
    """The number that all tensors of a folder hold, verified by its hash."""
    spec = _select.spec_of_folder(folder)
    (file,) = _sources.local_files(spec)
    values = safetensors.numpy.load_file(file.path)["a"]
    assert (values == values[0]).all()
    assert float(spec.note) == values[0]
    return float(values[0])


@pytest.fixture
def save(folder):
    """Write a model of one tensor that says in its config what it holds."""
    described = _folder.read_config(folder / "config.json")

    def write(number, count=50_000):
        array = np.full(count, number, "float32")
        facts = {**described, "note": str(number)}
        _commit.replace_model(folder, {"a": array}, facts)

    write(1)
    return write


class Killed(BaseException):
    """A stand-in for SIGKILL: no handler of errors catches it."""


@pytest.mark.parametrize("step", ["replace", "fsync"])
def test_a_kill_at_each_step_leaves_one_of_the_two(
    save, folder, monkeypatch, step
):
    real, count = getattr(os, step), 0
    seen = []
    for stop in range(12):
        save(1)
        dead, count = False, 0

        def killed(*arguments, stop=stop):
            nonlocal dead, count
            count += 1
            dead = dead or count > stop
            if dead:
                raise Killed
            return real(*arguments)

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(os, step, killed)
            patch.setattr(_commit, "_tidy", lambda folder: None)
            save(2)
        # What is left loads as a whole, whichever it is.
        seen.append(whole(folder))
        if not dead:
            break
    assert len(seen) > 3 and seen[0] == 1 and seen[-1] == 2
    assert seen == sorted(seen) and set(seen) == {1, 2}
    save(3)
    assert whole(folder) == 3
    assert names(folder) == ["README.md", "config.json", "model.safetensors"]


def test_the_config_is_the_commit_point(save, folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(_commit, "_tidy", lambda folder: None)
        save(2)
    assert len(names(folder)) == 4  # the new tensors still wait
    assert whole(folder) == 2
    spec = _select.spec_of_folder(folder)
    public = safetensors.numpy.load_file(folder / "model.safetensors")
    assert public["a"][0] == 1 and spec.note == "2"
    save(3)
    assert whole(folder) == 3 and len(names(folder)) == 3


SAVING = """
import pathlib, sys
import numpy as np
from keras_twostream.pretrained import _commit, _folder
folder = pathlib.Path(sys.argv[1])
described = _folder.read_config(folder / "config.json")
print("ready", flush=True)
number = 2
while True:
    array = np.full(200_000, number, "float32")
    facts = {**described, "note": str(number)}
    _commit.replace_model(folder, {"a": array}, facts)
    number += 1
"""


def test_kills_at_random_instants_lose_nothing(save, folder):
    instants = random.Random(0)
    last = 0.0
    for _ in range(6):
        command = [sys.executable, "-c", SAVING, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(instants.uniform(0.005, 0.3))
            child.send_signal(signal.SIGKILL)
        last = max(last, whole(folder))
    assert last > 1
    save(1)
    assert names(folder) == ["README.md", "config.json", "model.safetensors"]


def test_what_safetensors_left_goes_with_the_next_save(save, folder):
    for name in (".tmp8ZEa01", ".tmpabcdef", ".tmp_mine", ".tmp"):
        (folder / name).write_bytes(b"half")
    save(2)
    kept = [name for name in names(folder) if name.startswith(".tmp")]
    assert kept == [".tmp", ".tmp_mine"]


# === Models ===


def test_a_model_that_diverged_is_not_saved(tmp_path):
    model = registry.model_entry("tiny").builder(3)
    randomize(model)
    model.get_layer("rgb_bn1").gamma.assign(np.full(8, np.nan, "float32"))
    with pytest.raises(
        kts.errors.WeightsError, match=r"rgb_bn1\.gamma of tiny .*not finite"
    ):
        hub.save_pretrained(model, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_the_base_is_kept_without_being_asked(folder, tmp_path):
    model = kts.load(f"local:{folder}", num_classes=7)
    assert inspection.card(model)["base"] == ""  # a folder's path says nothing
    inspection.update_card(model, base="tiny.photographs")
    saved = hub.save_pretrained(model, tmp_path / "again")
    config = _folder.read_config(saved / "config.json")
    assert config["base"] == "tiny.photographs"
    other = hub.save_pretrained(model, tmp_path / "other", base="me/net")
    assert _folder.read_config(other / "config.json")["base"] == "me/net"


def test_a_card_of_our_own_follows_the_weights(trained, folder):
    hub.save_pretrained(trained, folder, license="apache-2.0")
    assert "Weights: apache-2.0." in (folder / "README.md").read_text()
    (folder / "README.md").write_text("mine")
    hub.save_pretrained(trained, folder, license="mit")
    assert (folder / "README.md").read_text() == "mine"


def test_a_folder_published_anew_while_it_is_read_loads_as_the_new_one(
    trained, folder, monkeypatch
):
    other = registry.model_entry("tiny").builder(3)
    randomize(other, seed=1)
    real = hub._loading.load_spec

    def publish_first(*arguments):
        monkeypatch.setattr(hub._loading, "load_spec", real)
        hub.save_pretrained(other, folder)
        return real(*arguments)

    monkeypatch.setattr(hub._loading, "load_spec", publish_first)
    loaded = kts.load(f"local:{folder}")
    assert np.array_equal(logits(loaded), logits(other))
    assert not np.array_equal(logits(loaded), logits(trained))


def test_half_a_save_is_published_whole(loopback, trained, folder, monkeypatch):
    facts = {"license": "mit", "data_terms": "ours"}
    with monkeypatch.context() as patch:
        patch.setattr(_commit, "_tidy", lambda folder: None)
        hub.save_pretrained(trained, folder, dtype="float16", **facts)
    address = kts.push_to_hub(folder, "me/half")
    np.testing.assert_allclose(
        logits(kts.load(address)), logits(trained), rtol=0.05, atol=0.05
    )
