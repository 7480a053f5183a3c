"""A small trained-looking network, its folder, and a Hub to serve it."""

import pytest
from hub_server import LoopbackHub
from small_net import CLASSES, randomize, tiny

from keras_twostream import hub, inspection, registry

ENTRY = registry.ModelEntry(
    "tiny", registry._recording("tiny", tiny), paper="none"
)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    """`tiny` by name, for the tests of this folder only."""
    monkeypatch.setitem(registry._registered, "tiny", ENTRY)


@pytest.fixture(scope="session")
def trained():
    """The tiny network, saying it was trained."""
    model = ENTRY.builder(3)
    randomize(model)
    inspection.update_card(model, classes=CLASSES, head_trained=True)
    return model


@pytest.fixture
def folder(trained, tmp_path):
    """The folder that `trained` was saved to."""
    path = tmp_path / "net"
    return hub.save_pretrained(
        trained, path, license="mit", data_terms="drawn by the test"
    )


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches, ours and the Hub client's."""
    from huggingface_hub import constants

    monkeypatch.setenv("KERAS_TWOSTREAM_HOME", str(tmp_path / "ours"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(
        constants, "HF_TOKEN_PATH", str(tmp_path / "token"), raising=False
    )
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path


@pytest.fixture
def loopback(caches, monkeypatch):
    """A Hub on this machine that the real client is pointed at."""
    from huggingface_hub import constants

    server = LoopbackHub()
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        server.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield server
    server.close()


@pytest.fixture
def served(loopback, folder):
    """`folder` as a repository on the loopback Hub; (server, commit)."""
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    return loopback, loopback.create("me/net", files)
