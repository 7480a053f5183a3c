"""A Hub that refuses, stumbles or lies, and what a user is told."""

import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_twostream as kts
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    _folder,
    _hub_errors,
    _hub_files,
    _web_files,
)


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited, without waiting them."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def blobs(repo_id="me/net"):
    return sorted(path.name for path in _hub_files._blobs(repo_id).iterdir())


# === What passes by itself ===


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_trouble_that_passes_is_waited_for(served, waits, status):
    served[0].answers = [(status, {})] * 2
    assert kts.load("hf://me/net").name == "tiny"
    assert waits[:2] == [1.0, 2.0]


def test_the_hub_says_how_long_to_wait(served, waits):
    served[0].answers = [(429, {"Retry-After": "7"})]
    assert kts.load("hf://me/net").name == "tiny"
    assert waits == [7.0]


def test_nobody_waits_for_an_hour(served, waits):
    served[0].answers = [(429, {"Retry-After": "3600"})] * 9
    with pytest.raises(WeightsError, match=r"too many requests.*hf auth login"):
        kts.load("hf://me/net")
    assert waits == []


def test_trouble_in_the_middle_of_a_download_is_waited_for(
    served, waits, monkeypatch
):
    server, commit = served
    download = _hub_files._download

    def stumbling(*arguments):
        if not waits:
            server.answers = [(503, {})] * 3
        return download(*arguments)

    monkeypatch.setattr(_hub_files, "_download", stumbling)
    _hub_files.fetch("me/net", "model.safetensors", commit)
    assert waits


# === What does not ===


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (401, "no repository me/net|refused the token.*HF_TOKEN"),
        (403, "forbids it.*Ask the owner"),
        (404, "no such file at that address.*HF_ENDPOINT"),
        (407, "a proxy asks for a password.*HTTPS_PROXY"),
        (429, "too many requests.*Wait some minutes"),
        (500, "the Hub cannot be reached"),
    ],
)
def test_each_status_has_its_own_error(served, waits, status, text):
    served[0].status = status
    with pytest.raises(WeightsError, match=text):
        kts.load("hf://me/net")


@pytest.mark.parametrize(
    ("status", "text"),
    [(401, "refused the token.*hf auth login"), (403, "token that has")],
)
def test_a_refused_upload_says_what_to_renew(served, folder, status, text):
    served[0].status = status
    with pytest.raises(WeightsError, match=f"(?s)did not take me/net.*{text}"):
        kts.push_to_hub(folder, "me/net")


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"ETag": '"../../x"'}, r"header ETag that is no hash: '\.\./\.\./x'"),
        ({"X-Repo-Commit": "../"}, "X-Repo-Commit that is no hash"),
        ({"X-Repo-Commit": "a" * 39 + "\x7f"}, "X-Repo-Commit that is no hash"),
        ({"X-Repo-Commit": ""}, "sign-in page"),
        ({"ETag": ""}, "sign-in page"),
        ({"Content-Length": ""}, "sign-in page"),
    ],
)
def test_headers_that_are_no_hashes_write_nothing(
    served, caches, headers, text
):
    server = served[0]
    server.headers = headers
    before = sorted(caches.rglob("*"))
    with pytest.raises(WeightsError, match=text):
        _hub_files.fetch("me/net", "config.json", "main")
    assert sorted(caches.rglob("*")) == before
    assert server.bodies("config.json") == 0


@pytest.mark.parametrize("name", ["ETag", "X-Repo-Commit"])
def test_a_second_answer_that_differs_writes_nothing(
    served, caches, monkeypatch, name
):
    server = served[0]
    first = _hub_files._metadata

    def then_otherwise(*arguments):
        result = first(*arguments)
        server.headers = {name: "../../x"}
        return result

    before = sorted(caches.rglob("*"))
    with (
        monkeypatch.context() as patch,
        pytest.raises(WeightsError, match=f"{name} that is no hash"),
    ):
        patch.setattr(_hub_files, "_metadata", then_otherwise)
        _hub_files.fetch("me/net", "config.json", "main")
    assert sorted(caches.rglob("*")) == before
    server.headers = {}
    assert _hub_files.fetch("me/net", "config.json", "main").is_file()


@pytest.mark.parametrize("length", ["../", "-1", "1e3"])
def test_a_length_that_is_no_number_writes_nothing(served, caches, length):
    server = served[0]
    server.headers = {"Content-Length": length}
    url = f"{server.endpoint}/me/net/resolve/main/config.json"
    with pytest.raises(WeightsError, match="a length that is no number"):
        _web_files.fetch(url, plain=True)
    files = [path for path in caches.rglob("*config.json") if path.is_file()]
    assert files == [caches / "net" / "config.json"]


@given(st.text(max_size=64))
def test_only_hashes_pass_as_headers(text):
    hexadecimal = set(text) <= set("0123456789abcdef")
    if hexadecimal and len(text) in (32, 40, 64):
        return
    with pytest.raises(WeightsError):
        _hub_errors.check_headers("0" * 40, text, "a file")


@pytest.mark.parametrize(
    "config",
    [
        {"architectures": ["BertModel"], "model_type": "bert"},
        {"architecture": "resnet50", "num_features": 9, "pretrained_cfg": {}},
        {"module": "keras", "class_name": "Functional"},
    ],
)
def test_a_repository_of_another_library_is_named_so(loopback, config):
    body = json.dumps(config).encode()
    loopback.create("me/other", {"config.json": body})
    with pytest.raises(WeightsError, match="config of another library"):
        kts.load("hf://me/other")


# === Without a network ===


def test_offline_errors_name_size_cache_and_what_works(served, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError) as error:
        _hub_files.fetch("me/net", "model.safetensors", "main", size=3_000_000)
    for part in (
        "model.safetensors of me/net@main (3.0 MB)",
        "HF_HUB_OFFLINE",
        constants.HF_HUB_CACHE,
        "HF_HOME",
        "spatiotemporal_resnet.actors",
    ):
        assert part in str(error.value)


def test_force_without_a_network_says_that_the_file_is_there(
    served, monkeypatch
):
    from huggingface_hub import constants

    path = _hub_files.fetch("me/net", "model.safetensors", "main")
    before = path.read_bytes()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="stays in the cache") as caught:
        _hub_files.fetch("me/net", "model.safetensors", "main", force=True)
    assert "not in the cache" not in str(caught.value)
    assert path.read_bytes() == before


# === Downloads that stop ===


def test_a_cut_off_download_says_what_is_kept(served, waits):
    server, commit = served
    server.truncate.add("model.safetensors")
    with pytest.raises(WeightsError, match="was cut off") as error:
        _hub_files.fetch("me/net", "model.safetensors", commit)
    kept = [name for name in blobs() if name.endswith(".incomplete")]
    assert ("goes on where it stopped" in str(error.value)) == bool(kept)
    assert ("nothing of it was kept" in str(error.value)) == (not kept)
    server.truncate.clear()
    _hub_files.fetch("me/net", "model.safetensors", commit)
    assert not [name for name in blobs() if name.endswith(".incomplete")]


def test_what_killed_downloads_left_goes_with_the_next(served):
    _, commit = served
    _hub_files.fetch("me/net", "config.json", commit)
    old, young = (
        _hub_files._blobs("me/net") / f"{'ab' * 20}.{name}.incomplete"
        for name in ("0123abcd", "89abcdef")
    )
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 3600,) * 2)
    _hub_files.fetch("me/net", "model.safetensors", commit)
    assert young.exists() and not old.exists()


def test_a_pipe_is_no_config(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    for path in (tmp_path / "config.json", tmp_path):
        with pytest.raises(WeightsError, match="is not a file"):
            _folder.read_config(path)
    with pytest.raises(WeightsError, match="is not a file"):
        kts.load(f"local:{tmp_path}")
