"""Loading from the Hub, through the real client and a loopback server."""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.numpy
import tqdm
from small_net import CLASSES, logits

import keras_twostream as kts
from keras_twostream import hub, inspection
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _hub_files

COMMIT = "0" * 40


def test_a_repository_gives_the_same_numbers(served, trained):
    loaded = kts.load("hf://me/net")
    np.testing.assert_array_equal(logits(loaded), logits(trained))
    assert inspection.class_names(loaded) == CLASSES


def test_a_pinned_and_cached_load_makes_no_request(served):
    server, commit = served
    kts.load(f"hf://me/net@{commit}")
    before = server.total()
    kts.load(f"hf://me/net@{commit}")
    assert before > 0
    assert server.total() == before


def test_a_pin_holds_when_main_moves(served, trained):
    server, commit = served
    server.repos["me/net"].commit({"config.json": b"{}"})
    np.testing.assert_array_equal(
        logits(kts.load(f"hf://me/net@{commit}")), logits(trained)
    )
    with pytest.raises(WeightsError, match="lacks the field `format`"):
        kts.load("hf://me/net")


def test_the_cache_may_lie_below_any_folder(served, tmp_path, monkeypatch):
    from huggingface_hub import constants

    below = tmp_path / "snapshots" / "mine"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(below))
    assert hub.weight_of("hf://me/net").revision == served[1]


def test_the_file_store_never_sees_the_token(served, monkeypatch):
    server, commit = served
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    kts.load(f"hf://me/net@{commit}")
    assert server.tokens
    assert set(server.tokens) == {None}


def test_a_private_repository_opens_with_a_token(served, monkeypatch):
    server, _ = served
    server.repos["me/net"].private = True
    with pytest.raises(WeightsError, match="no repository me/net .* private"):
        kts.load("hf://me/net")
    monkeypatch.setenv("HF_TOKEN", "hf_reader")
    assert kts.load("hf://me/net").name == "tiny"


def test_a_gated_repository_says_where_to_agree(served):
    server, _ = served
    server.repos["me/net"].gated = True
    with pytest.raises(WeightsError, match="me/net is gated.*hf auth login"):
        kts.load("hf://me/net")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("hf://me/nothing", "no repository me/nothing"),
        ("hf://me/net@v9", "me/net has no revision 'v9'"),
        (f"hf://me/net@{COMMIT}", "me/net has no revision '000"),
        ("hf://me/empty", "me/empty@main has no file config.json"),
        ("hf://me", "hf://user/repo@revision"),
        ("hf://me/net@", "hf://user/repo@revision"),
        ("hf://a/b c", "Received: 'a/b c'"),
    ],
)
def test_each_wrong_address_has_its_own_error(served, address, text):
    served[0].create("me/empty", {"README.md": b"nothing"})
    with pytest.raises(WeightsError) as error:
        kts.load(address)
    assert text in str(error.value)


def test_a_corrupt_download_never_reaches_a_model(served):
    server, commit = served
    server.corrupt.add("model.safetensors")
    with pytest.raises(WeightsError, match="weights pull --force hf://me/net@"):
        kts.load(f"hf://me/net@{commit}")
    server.corrupt.clear()
    _hub_files.fetch("me/net", "model.safetensors", commit, force=True)
    assert kts.load(f"hf://me/net@{commit}").name == "tiny"


def test_a_download_that_stops_early_is_reported(served, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    server, commit = served
    server.truncate.add("model.safetensors")
    with pytest.raises(
        WeightsError, match="download of model.safetensors of .* was cut off"
    ):
        kts.load(f"hf://me/net@{commit}")
    server.truncate.clear()
    assert kts.load(f"hf://me/net@{commit}").name == "tiny"


def test_a_full_disk_is_known_before_the_download(served, monkeypatch):
    server, _ = served
    free = type("Usage", (), {"free": 100})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(WeightsError, match="Free some space, or set HF_HOME"):
        kts.load("hf://me/net")
    assert server.bodies("model.safetensors") == 0


def test_a_disk_that_fills_up_on_the_way_is_named(served, monkeypatch):
    from huggingface_hub import file_download

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(WeightsError, match=r"The disk is full: config.json"):
        kts.load("hf://me/net")


def test_the_bar_names_the_file_and_its_size(served, monkeypatch, capsys):
    monkeypatch.setenv("TQDM_POSITION", "-1")  # a bar without a terminal
    server, commit = served
    kts.load(f"hf://me/net@{commit}")
    shown = capsys.readouterr().err
    body = server.repos["me/net"].tree(commit)["model.safetensors"]
    size = tqdm.tqdm.format_sizeof(len(body))
    line = rf"me/net/model.safetensors: 100%.* {size}/{size}"
    assert re.search(line, shown), shown


def newer_format(files):
    config = json.loads(files["config.json"])
    files["config.json"] = json.dumps({**config, "format": 9}).encode()


def another_tensor(files, key, array):
    """Replace a tensor, or add one, and make the hash fit."""
    tensors = safetensors.numpy.load(files["model.safetensors"])
    body = safetensors.numpy.save({**tensors, key: array})
    digest = hashlib.sha256(body).hexdigest()
    config = {**json.loads(files["config.json"]), "sha256": digest}
    files["config.json"] = json.dumps(config).encode()
    files["model.safetensors"] = body


def unexpected_key(files):
    another_tensor(files, "rgb_conv9.kernel", np.zeros(1, "float32"))


def wrong_shape(files):
    shape = (7, 7, 4, 8)
    another_tensor(files, "rgb_conv1.kernel", np.zeros(shape, "float32"))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (newer_format, "is in format 9.*Update it"),
        (unexpected_key, "unknown to the model .1.:\n    rgb_conv9.kernel"),
        (wrong_shape, "rgb_conv1.kernel has the .* .7, 7, 4, 8., .* 7, 3, 8."),
        (lambda files: files.pop("model.safetensors"),
         "me/bad@[0-9a-f]{40} has no file model.safetensors"),
    ],
)  # fmt: skip
def test_a_repository_that_does_not_fit_is_refused(served, change, text):
    server, commit = served
    files = dict(server.repos["me/net"].tree(commit))
    change(files)
    server.create("me/bad", files)
    with pytest.raises(WeightsError, match=f"(?s){text}"):
        kts.load("hf://me/bad")


def test_a_dead_hub_is_noticed_in_seconds(served, monkeypatch):
    from huggingface_hub import constants

    dead = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", dead)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        dead + "/{repo_id}/resolve/{revision}/{filename}",
    )
    start = time.monotonic()
    with pytest.raises(WeightsError, match="the Hub cannot be reached"):
        kts.load("hf://me/net")
    assert time.monotonic() - start < 5


def test_a_hub_that_is_down_leaves_the_cached_copy(served, caplog):
    server, _ = served
    kts.load("hf://me/net")
    server.status = 503
    assert kts.load("hf://me/net").name == "tiny"
    assert "may be an older one" in caplog.text


def test_offline_only_cached_files_load(served, monkeypatch):
    from huggingface_hub import constants

    server, commit = served
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE forbids"):
        kts.load("hf://me/net")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    kts.load("hf://me/net")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    before = server.total()
    for address in ("hf://me/net", f"hf://me/net@{commit}"):
        assert kts.load(address).name == "tiny"
    assert server.total() == before


def test_a_verified_file_is_not_hashed_again(served, monkeypatch):
    from keras_twostream.pretrained import _verify

    _, commit = served
    kts.load(f"hf://me/net@{commit}")
    monkeypatch.setattr(_verify, "sha256_of", lambda path: "never called")
    assert kts.load(f"hf://me/net@{commit}").name == "tiny"


def test_eight_processes_download_once(served, tmp_path):
    server, commit = served
    code = (
        "from keras_twostream.pretrained import _hub_files\n"
        f"_hub_files.fetch('me/net', 'model.safetensors', {commit!r})"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(tmp_path / "shared_home"),
        "HF_HUB_DISABLE_XET": "1",
    }
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=environment)
        for _ in range(8)
    ]
    assert [process.wait(60) for process in running] == [0] * 8
    assert server.bodies("model.safetensors") == 1
