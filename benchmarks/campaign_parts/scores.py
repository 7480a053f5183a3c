"""Files of scores, of this library and of others."""

import functools
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from campaign_parts.sample import Reading, Sample, digest


def samples() -> Iterator[Sample]:
    """Yield scores of this library, of TSN and of mmaction2."""
    scores = np.random.default_rng(0).uniform(size=(6, 3)).astype("float32")
    ours = {
        "kind": np.array("logits"),
        "names": np.array([f"v{i}" for i in range(6)]),
        "labels": np.arange(6) % 3,
        "classes": np.array(["a", "b", "c"]),
        "scores/rgb": scores,
    }
    rows = np.empty((2, 2), dtype=object)
    for i in range(2):
        rows[i] = np.full((5, 1, 3), float(i), "float32"), i
    dicts = [
        {"pred_score": row, "gt_label": np.array([n % 3])}
        for n, row in enumerate(scores)
    ]
    files = {
        "ours.npz": _npz(ours),
        "packed.npz": _npz(ours, np.savez_compressed),
        "tsn.npz": _npz({"scores": rows, "labels": np.array([0, 1])}),
        "mmaction.pkl": pickle.dumps(dicts, protocol=2),
        "mmaction4.pkl": pickle.dumps(dicts, protocol=4),
    }
    for file, data in files.items():
        yield Sample(
            f"scores: {file}",
            "scores",
            file,
            {file: data},
            functools.partial(_read_scores, file=file),
            sealed=True,
            heavy=True,
        )


def _npz(arrays, save: Callable = np.savez) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def _read_scores(folder: Path, file: str) -> Reading:
    from keras_twostream.scoring.score_files import load_scores

    found = load_scores(folder / file, "x")
    values = (found.scores, found.labels, found.kind, list(found.classes))
    return Reading(len(found.names), digest(values))
