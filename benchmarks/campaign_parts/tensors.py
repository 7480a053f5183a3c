"""Weights, folders of models, checkpoints, scores, and a Hub's answers."""

import functools
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy

from campaign_parts.sample import Reading, Sample, digest
from keras_twostream.pretrained import (
    _catalogue,
    _readers,
    _safetensors,
    _select,
    _sources,
)

_ROW = "weights, folders of models"
_RNG = np.random.default_rng(0)
_ARRAYS = {
    "rgb_conv1.kernel": _RNG.normal(size=(3, 3, 3, 4)).astype("float32"),
    "rgb_bn1.gamma": np.ones(4, "float32"),
    "rgb_head.kernel": _RNG.normal(size=(4, 3)).astype("float32"),
    "rgb_head.bias": np.zeros(3, "float32"),
}


def samples() -> Iterator[Sample]:
    """Yield files of weights, a folder of a model, and a catalogue's row."""
    yield from _weights()
    yield from _model_folder()
    yield _row()


# === Files of weights ===


def _weights() -> Iterator[Sample]:
    from foreign_weights import caffemodel, chain, save_mat

    layers = [
        ("conv1", "Convolution", [_ARRAYS["rgb_conv1.kernel"], np.ones(4)]),
        ("fc", "InnerProduct", [_ARRAYS["rgb_head.kernel"], np.ones(4)]),
    ]
    files = {
        "w.safetensors": safetensors.numpy.save(_ARRAYS),
        "w.caffemodel": caffemodel(layers),
        "old.caffemodel": caffemodel(layers, old=True),
    }
    chained = chain(
        [("conv1", "conv", [_ARRAYS["rgb_conv1.kernel"], np.ones((4, 1))])]
    )
    with tempfile.TemporaryDirectory() as folder:
        save_mat(Path(folder, "w.mat"), chained)
        files["w.mat"] = Path(folder, "w.mat").read_bytes()
    for file, data in files.items():
        yield Sample(
            f"weights: {file}",
            _ROW,
            file,
            {file: data},
            functools.partial(_read_tensors, file=file, of=_keys(data, file)),
            sealed=True,
        )
    for file, data in of_torch().items():
        yield Sample(
            f"weights: {file}, our reader",
            _ROW,
            file,
            {file: data},
            functools.partial(_read_torch, file=file),
            sealed=True,
        )


def _keys(data: bytes, file: str) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file)
        path.write_bytes(data)
        return set(_readers.read(path))


def _read_tensors(folder: Path, file: str, of: set[str]) -> Reading:
    """Read a file as a conversion does, which accounts for every tensor."""
    found = _readers.read(folder / file)
    if set(found) != of:
        from keras_twostream.errors import WeightsError

        raise WeightsError(f"{folder / file}: other keys than the model's")
    return Reading(len(found), digest(found))


@functools.cache
def of_torch() -> dict[str, bytes]:
    """Return files that PyTorch writes, made in a process of its own."""
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(write_torch, (_ARRAYS,))


def write_torch(arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    """Return both generations of .pth files."""
    import torch

    state = {k: torch.from_numpy(v.copy()) for k, v in arrays.items()}
    files = {}
    for name, zipped in (("w.pth", True), ("old.pth", False)):
        file = io.BytesIO()
        torch.save(
            {"state_dict": state}, file, _use_new_zipfile_serialization=zipped
        )
        files[name] = file.getvalue()
    return files


def _read_torch(folder: Path, file: str) -> Reading:
    from unittest import mock

    with mock.patch.object(
        _readers.importlib.util, "find_spec", lambda name: None
    ):
        found = _readers.read(folder / file)
    return Reading(len(found), digest(found))


# === Folders of models ===


def _model_folder() -> Iterator[Sample]:
    config, tensors = model_files()
    for file in ("config.json", "model.safetensors"):
        yield Sample(
            f"model: {file}",
            _ROW,
            f"m/{file}",
            {"m/config.json": config, "m/model.safetensors": tensors},
            _read_model,
            text=file == "config.json",
            sealed=True,
            exact=file == "model.safetensors",
        )


def model_files() -> tuple[bytes, bytes]:
    """Return config.json and model.safetensors of a small published model."""
    import hashlib

    tensors = safetensors.numpy.save(_ARRAYS)
    config = {
        "format": 1,
        "library": "keras_twostream",
        "library_version": "0",
        "architecture": "two_stream",
        "options": {"num_classes": 3, "streams": ["rgb"]},
        "classes": ["bend", "jump", "run"],
        "head_trained": True,
        "clip_spec": {"streams": ["rgb"], "clip_length": 1, "crop": [32, 32]},
        "filename": "model.safetensors",
        "sha256": hashlib.sha256(tensors).hexdigest(),
        "size": len(tensors),
        "license": "mit",
        "data_terms": "drawn",
        "origin": "trained",
    }
    return json.dumps(config, indent=2).encode(), tensors


def _read_model(folder: Path) -> Reading:
    """Read a folder up to where Keras builds the network."""
    _home(folder)
    spec = _select.spec_of_folder(folder / "m")
    (file,) = _sources.local_files(spec)
    found = _safetensors.read(file.path)
    return Reading(len(found), digest(found, spec.options, spec.classes))


def _home(folder: Path) -> None:
    import os

    os.environ["KERAS_TWOSTREAM_HOME"] = str(folder / "home")


def _row() -> Sample:
    text = (
        'name = "c3d.mine"\nlicense = "mit"\ndata_terms = "none"\n'
        'origin = "trained"\nrepo_id = "me/mine"\nnote = "mine"\n'
        "[options]\nclip_length = 16\n"
    )
    return Sample(
        "row of the catalogue",
        "rows of the catalogue",
        "weight.toml",
        {"weight.toml": text.encode()},
        _read_row,
        text=True,
    )


def _read_row(folder: Path) -> Reading:
    spec = _catalogue.read_row(folder / "weight.toml")
    return Reading(1, digest(spec.name, spec.options, spec.repo_id))
