"""Trial clips for an artefact, and the limits that its scores must meet."""

import os
import statistics
import time
from collections.abc import Sequence

import keras
import numpy as np

from keras_twostream import _files, actors, data
from keras_twostream.data.lists.files import videos_in
from keras_twostream.errors import SpecError
from keras_twostream.exporting._artefacts import Clips, Runner
from keras_twostream.exporting._network import LOGITS
from keras_twostream.spec import ClipSpec

Source = str | os.PathLike | np.ndarray

DRAWN_SEED = 0
LEAST_AGREEMENT = 0.95
# Shares of the largest logit; for int8 the agreement counts instead.
LIMITS = {"float32": 1e-4, "float16": 1e-2, "int8": float("inf")}

_TIMED_RUNS = 3


# === Clips ===


def trial_clips(
    source: Source | None, spec: ClipSpec, count: int = 1
) -> tuple[Clips, str]:
    """Return clips to try an artefact on, and a description of their source.

    Args:
        source: A video or frames; a synthetic actor when None.
        spec: The clip of streams, or of whole frames (`frames_spec`).
        count: Number of clips.

    Returns:
        Float32 arrays (count, T, H, W, C) by stream, and the description.
    """
    words = "frames" if isinstance(source, np.ndarray) else str(source)
    if source is None:
        source = actors.render("wave_hand", seed=DRAWN_SEED)
        # Any flow algorithm serves to compare two runtimes; RAFT would have to
        # be downloaded.
        spec = spec.replace(flow_algorithm="dis", flow_parameters={})
        words = f"a drawn actor, seed {DRAWN_SEED}"
    clips = data.clips(source, spec, count)
    return {k: np.asarray(v, "float32") for k, v in clips.items()}, words


def as_inputs(clips: Clips, flow: bool) -> Clips:
    """Return the clips under the names of the artefact's inputs."""
    return {"frames": clips["rgb"]} if flow else clips


def batched(clips: Clips, size: int) -> Clips:
    """Return `size` clips: the first one and mirrored, dimmer copies of it.

    A batch of equal rows would not reveal an error in the order of rows.
    """
    first = {name: clip[:1] for name, clip in clips.items()}
    rows = [first]
    for number in range(1, size):
        rows.append({n: c[:, :, :, ::-1] / number for n, c in first.items()})
    return {name: np.concatenate([r[name] for r in rows]) for name in first}


def calibration(
    sources: Source | Sequence[Source], spec: ClipSpec, flow: bool
) -> tuple[list[Clips], list[Clips]]:
    """Return clips that set the ranges of int8, and clips that test them.

    The middle clip of each video sets the ranges; the clips at its start and
    end test them. A short video has fewer, perhaps one that does both.

    Raises:
        SpecError: If there is no video.
    """
    ranges, tests = [], []
    for source in _listed(sources):
        clips = as_inputs(trial_clips(source, spec, 3)[0], flow)
        count = len(next(iter(clips.values())))
        first, middle, last = (
            {name: clip[n : n + 1] for name, clip in clips.items()}
            for n in (0, count // 2, count - 1)
        )
        ranges.append(middle)
        tests += [first, last]
    if not ranges:
        raise SpecError("`calibrate` has no video: name some, or a folder.")
    return ranges, tests


def _listed(sources: Source | Sequence[Source]) -> list[Source]:
    if isinstance(sources, str | os.PathLike):
        folder = _files.expanded(sources)
        if folder.is_dir():
            return [str(path) for path in videos_in(folder)]
        return [sources]
    return [sources] if isinstance(sources, np.ndarray) else list(sources)


# === Comparison ===


def logits_of(network: keras.Model, clips: Clips) -> np.ndarray:
    """Return the (B, C) logits that Keras gives."""
    scores = network(clips, training=False)[LOGITS]
    return keras.ops.convert_to_numpy(scores)


def difference(run: Runner, network: keras.Model, clips: Clips) -> float:
    """Return the largest difference, as a share of the largest logit."""
    wanted = logits_of(network, clips)
    scores = run(clips)[LOGITS]
    if scores.shape != wanted.shape:
        raise SpecError(
            f"The file gives logits of shape {scores.shape}, and the model "
            f"{wanted.shape}."
        )
    return float(np.abs(scores - wanted).max() / np.abs(wanted).max())


def agreement(
    run: Runner, network: keras.Model, tests: Sequence[Clips], batch: int
) -> float:
    """Return the share of clips that get the same class as from Keras."""
    same = [
        np.argmax(run(batched(clips, batch))[LOGITS][0])
        == np.argmax(logits_of(network, clips)[0])
        for clips in tests
    ]
    return float(np.mean(same))


def milliseconds(run: Runner, clips: Clips) -> float:
    """Return the median time of a run, divided by the clips of its batch."""
    times = []
    for _ in range(_TIMED_RUNS):
        start = time.perf_counter()
        run(clips)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times) / len(next(iter(clips.values())))
