"""Networks of other code bases, served by a loopback Hub."""

import dataclasses
import hashlib

import pytest
from https_site import file_handler, make_certificate, serving
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
def serve(loopback):
    """Serve bytes as the file of a catalogue row; the row, changed so."""
    from keras_twostream.pretrained import weight_spec

    def serve(name, filename, body, **changes):
        commit = loopback.create("timm/peer", {filename: body})
        return dataclasses.replace(
            weight_spec(name),
            repo_id="timm/peer",
            revision=commit,
            filename=filename,
            url="",
            sha256=hashlib.sha256(body).hexdigest(),
            **changes,
        )

    return serve


@pytest.fixture
def publish(serve):
    """Serve a net's tensors as the repository of a catalogue row."""
    import safetensors.torch

    def publish(name, net, **changes):
        state = {k: v.contiguous() for k, v in net.state_dict().items()}
        body = safetensors.torch.save(state)
        return serve(name, "model.safetensors", body, **changes)

    return publish


@pytest.fixture
def site(tmp_path, loopback, monkeypatch):
    """Bodies by path, to be filled, and the https:// address of them."""
    certificate = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[1]))
    files = {}
    with serving(file_handler(files), certificate) as address:
        yield files, address
