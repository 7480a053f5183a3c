"""What is killed: extract, save, download, fetch, convert and train."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import safetensors.numpy

from campaign_parts.activity import Activity
from campaign_parts.sample import digest
from campaign_parts.texts import CONTRACT, _mp4
from keras_twostream.data.cache import CacheFolder, packed_file
from keras_twostream.data.extraction import extract
from keras_twostream.errors import SpecError
from keras_twostream.pretrained import (
    _commit,
    _hub_files,
    _select,
    _sources,
    _web_files,
)
from keras_twostream.pretrained._disk import writable

VIDEOS = 8
BODY = np.random.default_rng(0).bytes(6_000_000)


def light(endpoint: str) -> Iterator[Activity]:
    """Yield the activities that need no Keras.

    Args:
        endpoint: Address of a Hub that serves `BODY` as me/net.
    """
    yield Activity("extract", _videos, _extract, _packed_whole, _cache)
    yield Activity("save", _save_one, _save_on, _model_whole, _saved)

    def point(folder: Path) -> None:
        from campaign_parts.answers import _point_at, _point_elsewhere

        _point_elsewhere(folder)
        _point_at(endpoint)

    def download(folder: Path) -> None:
        point(folder)
        _hub_files.fetch("me/net", "model.safetensors", "main")

    def fetch(folder: Path) -> None:
        point(folder)
        _web_files.fetch(f"{endpoint}/me/net/resolve/main/w.pth", plain=True)

    for name, work in (("download, Hub", download), ("download, web", fetch)):
        yield Activity(name, lambda folder: None, work, _bodies, _bodies)


def heavy() -> Iterator[Activity]:
    """Yield the activities that need Keras."""
    from campaign_parts import training_runs

    yield Activity("convert", _foreign, _convert, _converted, _converted)
    yield training_runs.activity()


# === Extract ===


def _videos(folder: Path) -> None:
    (folder / "videos").mkdir()
    for number in range(VIDEOS):
        data = _mp4(12 + number)
        (folder / f"videos/v{number}.mp4").write_bytes(data)


def _extract(folder: Path) -> None:
    summary = extract(folder / "videos", folder / "cache", CONTRACT, workers=1)
    if summary.stopped:
        raise SpecError(summary.stopped)
    if summary.failed:
        raise AssertionError(summary)


def _packed_whole(folder: Path) -> None:
    """Check every file that bears a packed file's name, and the manifest."""
    for entry in CacheFolder(folder / "cache").entries().values():
        path = packed_file.packed_path(folder / "cache", entry.source)
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != entry.sha256:
            raise AssertionError(f"{entry.source} is not what was recorded")
    for path in (folder / "cache").glob("*.safetensors"):
        if packed_file.open_packed(path).frames < 12:
            raise AssertionError(f"{path} has too few frames")


def _cache(folder: Path) -> str:
    _packed_whole(folder)
    contents = {
        path.name: path.read_bytes()
        for path in (folder / "cache").iterdir()
        if path.name != "roots.json"
    }
    return digest(contents)


# === Save ===


def _write_model(folder: Path, number: int) -> None:
    described = {
        "format": 1,
        "library": "keras_twostream",
        "library_version": "0",
        "architecture": "two_stream",
        "options": {},
        "head_trained": True,
        "clip_spec": {},
        "license": "mit",
        "data_terms": "drawn",
        "origin": "trained",
        "note": str(number),
    }
    array = np.full(200_000, number, "float32")
    with writable(folder / "m", "choose another"):
        _commit.replace_model(folder / "m", {"a": array}, described)


def _save_one(folder: Path) -> None:
    _write_model(folder, 1)


def _save_on(folder: Path) -> None:
    """Save some models one over the other; the last is number 12."""
    for number in range(2, 13):
        _write_model(folder, number)


def _model_whole(folder: Path) -> str:
    """Return the model's number, when config and tensors are of one."""
    os.environ["KERAS_TWOSTREAM_HOME"] = str(folder / "home")
    spec = _select.spec_of_folder(folder / "m")
    (file,) = _sources.local_files(spec)
    values = safetensors.numpy.load_file(file.path)["a"]
    if not (values == float(spec.note)).all():
        raise AssertionError("tensors and config are of two models")
    return spec.note


def _saved(folder: Path) -> str:
    names = sorted(os.listdir(folder / "m"))
    return f"{_model_whole(folder)} {names}"


# === Download ===


def _bodies(folder: Path) -> str:
    """Return the names of whole files, none of which may be a part."""
    found = set()
    for path in folder.rglob("*"):
        name = path.name
        if not path.is_file() or name.endswith((".part", ".incomplete")):
            continue
        if path.suffix in (".safetensors", ".pth"):
            if path.read_bytes() != BODY:
                raise AssertionError(f"{name} is not the whole file")
            found.add(name)
    return json.dumps(sorted(found))


# === Convert ===

_SHAPES = {f"rgb_conv{n}.kernel": (64, 3000) for n in range(4)}


def _spec(folder: Path):
    from keras_twostream.pretrained import WeightSpec

    os.environ["KERAS_TWOSTREAM_HOME"] = str(folder / "home")
    data = (folder / "m/w.safetensors").read_bytes()
    return WeightSpec(
        name="two_stream.foreign",
        folder=str(folder / "m"),
        filename="w.safetensors",
        sha256=hashlib.sha256(data).hexdigest(),
        layout="identity",
        license="mit",
        data_terms="drawn",
        origin="converted",
    )


def _foreign(folder: Path) -> None:
    (folder / "m").mkdir()
    rng = np.random.default_rng(0)
    arrays = {k: rng.normal(size=v).astype("f4") for k, v in _SHAPES.items()}
    safetensors.numpy.save_file(arrays, folder / "m/w.safetensors")


def _convert(folder: Path) -> None:
    """Convert as `load` does, but for the building of the network."""
    from keras_twostream.pretrained import _tensors

    spec = _spec(folder)
    place = _tensors._folder(spec, _SHAPES)
    if _tensors._is_whole(place):
        _tensors._stored(place, spec)
        return
    found = _tensors._converted(spec, {"rgb"}, _SHAPES, set())
    _tensors._store(place, found, spec)


def _converted(folder: Path) -> str:
    from keras_twostream.pretrained import _tensors

    spec = _spec(folder)
    place = _tensors._folder(spec, _SHAPES)
    if not _tensors._is_whole(place):
        return "none"
    left = sorted(p.name for p in place.iterdir())
    return digest(_tensors._stored(place, spec), left)
