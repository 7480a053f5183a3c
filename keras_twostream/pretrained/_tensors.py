"""A weight's arrays under our keys, from any source and format."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_twostream
from keras_twostream import _files, _schema, inspection
from keras_twostream._arrays import whole
from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import (
    _convert,
    _readers,
    _safetensors,
    _sources,
    _verify,
)
from keras_twostream.pretrained._disk import OTHER_CACHE, writable
from keras_twostream.pretrained._locks import locked
from keras_twostream.pretrained._spec import OURS, WeightSpec
from keras_twostream.pretrained._variables import variables

_TENSORS = "model.safetensors"
_PROVENANCE = "provenance.json"
_LARGEST = 2**22  # bytes of it


def tensors(
    spec: WeightSpec, model: keras.Model, heads: set[str], keep_head: bool
) -> dict[str, np.ndarray]:
    """Return a weight's arrays by the model's keys.

    Returns:
        A dict from "rgb_conv1.kernel", ... to arrays. Foreign weights lack
        the keys that their `adaptation` leaves fresh.

    Raises:
        WeightsError: If a file cannot be fetched, verified or matched.
    """
    if spec.layout == OURS:
        return _safetensors.read(_sources.local_files(spec)[0].path)
    shapes = {
        key: tuple(variable.shape)
        for key, variable in variables(model).items()
        if keep_head or key.rpartition(".")[0] not in heads
    }
    frames = inspection.clip_spec(model).frames_per_step
    folder = _folder(spec, shapes, frames)
    if _is_whole(folder):  # a cache that is only read needs no lock
        return _stored(folder, spec)
    with locked(folder):
        # Another process may have made it while this one waited.
        if _is_whole(folder):
            return _stored(folder, spec)
        streams = set(inspection.stream_layers(model))
        tensors = _converted(spec, streams, shapes, heads, frames)
        _store(folder, tensors, spec)
        return tensors


def canonical_sources(
    spec: WeightSpec, streams: set[str]
) -> dict[str, dict[str, np.ndarray]]:
    """Read the weight's files under our keys without stream, by stream."""
    by_stream: dict[str, list[Path]] = {}
    for file in _sources.local_files(spec, streams):
        by_stream.setdefault(file.stream, []).append(file.path)
    return {
        stream: _convert.canonical(_readers.read(*paths), spec.layout)
        for stream, paths in by_stream.items()
    }


def _converted(
    spec: WeightSpec,
    streams: set[str],
    shapes: Mapping[str, tuple[int, ...]],
    heads: set[str],
    frames: int,
) -> dict[str, np.ndarray]:
    sources = canonical_sources(spec, streams)
    return _convert.adapt(sources, shapes, heads, spec.adaptation, frames)


# === The cache of converted weights ===


def _folder(spec: WeightSpec, shapes: Mapping[str, Any], frames: int) -> Path:
    """Return the cache folder of this conversion to these shapes."""
    facts = {
        "version": keras_twostream.__version__,
        "files": [
            [file.filename, file.url, file.digest, file.stream]
            for file in spec.files
        ],
        "source": [spec.source, spec.filename, spec.digest or _state(spec)],
        "layout": spec.layout,
        "adaptation": dict(spec.adaptation),
        "shapes": sorted(shapes.items()),
        "frames": frames,
    }
    text = json.dumps(facts, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return _verify.cache_folder() / "converted" / f"{spec.name}-{digest}"


def _state(spec: WeightSpec) -> list[int]:
    """Return size and time of a local file, which may change unpinned."""
    path = os.path.join(spec.folder, spec.filename)
    if not spec.folder or not os.path.isfile(path):
        return []
    return [os.path.getsize(path), os.stat(path).st_mtime_ns]


def _store(
    folder: Path, tensors: dict[str, np.ndarray], spec: WeightSpec
) -> None:
    """Store the result as a whole or not at all."""
    places = folder / _TENSORS, folder / _PROVENANCE
    try:
        with (
            writable(folder, OTHER_CACHE),
            _files.replacing(*places) as (path, provenance),
        ):
            _safetensors.write(tensors, path, {})
            text = json.dumps(_provenance(spec, path), indent=2, default=str)
            provenance.write_text(text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _provenance(spec: WeightSpec, path: Path) -> dict[str, Any]:
    """Return the origin of the tensors at `path`."""
    return {
        "name": spec.name,
        "source": spec.source,
        "source_sha256": spec.sha256,
        "license": spec.license,
        "data_terms": spec.data_terms,
        "layout": spec.layout,
        "adaptation": dict(spec.adaptation),
        "library_version": keras_twostream.__version__,
        "sha256": _verify.sha256_of(path),
    }


def _is_whole(folder: Path) -> bool:
    """Return whether a conversion is complete: provenance comes last."""
    # Of a folder that may not be looked into, pathlib's own would raise.
    return os.path.isfile(folder / _PROVENANCE)


def _stored(folder: Path, spec: WeightSpec) -> dict[str, np.ndarray]:
    path = folder / _TENSORS
    repair = f"Delete the folder {folder} and load {spec.name} again."
    made = folder / _PROVENANCE
    with whole(made, WeightsError, repair):
        text = _schema.read_text(made, _LARGEST, hint=repair)
        sha256 = str(_schema.parse_json(text, made)["sha256"])
    _verify.verify(path, sha256, repair)
    return _safetensors.read(path)
