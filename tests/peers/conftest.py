"""Networks of other code bases, served by a loopback Hub."""

import dataclasses
import hashlib

import pytest
from hub_server import LoopbackHub

pytest.importorskip("torch")

from reference import declare_operators

declare_operators()
pytest.importorskip("timm")
pytest.importorskip("torchvision")


@pytest.fixture
def loopback(tmp_path, monkeypatch):
    """A Hub on this machine, and empty caches."""
    from huggingface_hub import constants

    server = LoopbackHub()
    monkeypatch.setenv("KERAS_TWOSTREAM_HOME", str(tmp_path / "ours"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        server.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    yield server
    server.close()


@pytest.fixture
def publish(loopback):
    """Serve a net's tensors as the repository of a catalogue row."""
    import safetensors.torch

    from keras_twostream.pretrained import weight_spec

    def publish(name, net):
        state = {k: v.contiguous() for k, v in net.state_dict().items()}
        body = safetensors.torch.save(state)
        commit = loopback.create("timm/peer", {"model.safetensors": body})
        return dataclasses.replace(
            weight_spec(name),
            repo_id="timm/peer",
            revision=commit,
            filename="model.safetensors",
            url="",
            sha256=hashlib.sha256(body).hexdigest(),
        )

    return publish
