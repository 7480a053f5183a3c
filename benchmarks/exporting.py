"""Size, latency and largest difference of exported files, by format.

    python benchmarks/exporting.py WORK [--models a,b] [--runs 5]

Exports five architectures in every format and precision, runs each file by its
own runtime, and writes benchmarks/exporting.md. WORK keeps a line for each file
that is done, so that a stopped run goes on; the files themselves are removed.

The shipped network is trained. The others are as their papers have them, with
random weights and 51 classes: size and time do not depend on the weights, and
differences are shares of the largest logit. int8 is calibrated on 16 drawn
videos and judged on other clips of them; of random weights, whose scores hardly
differ, its agreement says nothing, and such a file is usually refused.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np

import keras_twostream as kts
from keras_twostream import actors, inspection
from keras_twostream.errors import SpecError

SHIPPED = "spatiotemporal_resnet.actors"
MODELS = (SHIPPED, "temporal_segment", "two_stream", "c3d", "r2plus1d")
CLASSES = 51
KINDS = (
    ("saved_model", "float32"),
    ("litert", "float32"),
    ("litert", "float16"),
    ("litert", "int8"),
    ("onnx", "float32"),
)
ENDINGS = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
CALIBRATION = 16  # videos
PAGE = Path(__file__).with_name("exporting.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    log = given.work / "exporting.jsonl"
    rows = _read(log)
    known = {(x["model"], x["format"], x["precision"]) for x in rows}
    videos = _videos(given.work / "videos")
    for name in given.models.split(","):
        kinds = [kind for kind in KINDS if (name, *kind) not in known]
        if not kinds:
            continue
        keras.backend.clear_session()
        model = built(name)
        if (name, "keras", "float32") not in known:
            kinds.insert(0, ("keras", "float32"))
        for kind in kinds:
            row = {"model": name, **measured(model, *kind, videos, given.runs)}
            with log.open("a", encoding="utf-8") as file:
                print(json.dumps(row), file=file)
            print(row, flush=True)
    PAGE.write_text(page(_read(log)), "utf-8")


def built(name: str) -> keras.Model:
    """Return a model whose head counts as trained."""
    if "." in name:
        return kts.load(name)
    keras.utils.set_random_seed(0)
    model = kts.load(name, weights=None, num_classes=CLASSES)
    inspection.update_card(model, head_trained=True)
    return model


def measured(
    model: keras.Model,
    format: str,
    precision: str,
    videos: Path,
    runs: int,
) -> dict[str, Any]:
    """Return a row: size in bytes, milliseconds and the difference."""
    row: dict[str, Any] = {"format": format, "precision": precision}
    clip = kts.clips(next(videos.rglob("*.mp4")), model)
    if format == "keras":
        times = _times(lambda: model.predict_on_batch(clip), runs)
        count = sum(int(np.prod(x.shape)) for x in model.weights)
        return {**row, "bytes": 4 * count, "milliseconds": times}
    calibrate = str(videos) if precision == "int8" else None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ENDINGS[format]}"
        began = time.perf_counter()
        try:
            exported = kts.export(
                model,
                path,
                format=format,
                batch=1,
                precision=precision,
                calibrate=calibrate,
            )
        except SpecError as error:
            return {**row, "refused": str(error)}
        return {
            **row,
            "bytes": exported.bytes,
            "difference": exported.difference,
            "agreement": exported.agreement,
            "milliseconds": _times(_runner(path, format, clip), runs),
            "conversion": round(time.perf_counter() - began),
        }


def _runner(
    path: Path, format: str, clip: dict[str, np.ndarray]
) -> Callable[[], Any]:
    """Return a function that runs the file once, by its own runtime."""
    inputs = {k: np.asarray(v, np.float32) for k, v in clip.items()}
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        return lambda: session.run(None, inputs)
    if format == "litert":
        from ai_edge_litert.interpreter import Interpreter

        run = Interpreter(str(path)).get_signature_runner()
        return lambda: run(**inputs)
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    serve = loaded.signatures["serving_default"]
    tensors = {k: tf.constant(v) for k, v in inputs.items()}
    return lambda: serve(**tensors)


def _times(run: Callable[[], Any], runs: int) -> float:
    """Return the median milliseconds of a run; two before do not count."""
    for _ in range(2):
        run()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return round(1e3 * statistics.median(seconds), 1)


def _videos(folder: Path) -> Path:
    if len(list(folder.rglob("*.mp4"))) < CALIBRATION:
        actors.generate(folder, count=CALIBRATION, seed=7, workers=0)
    return folder


def _read(log: Path) -> list[dict[str, Any]]:
    if not log.is_file():
        return []
    return [json.loads(line) for line in log.read_text("utf-8").splitlines()]


# === The page ===


HEAD = """# Exported files

{about}

One clip at a time, on TensorFlow's CPU build, on two shared cores; milliseconds
are the median of some runs. Keras is `predict_on_batch`. The command is
`python benchmarks/exporting.py WORK`.

| model | format | precision | MB | ms a clip | difference | agreement |
|---|---|---|---:|---:|---:|---:|
"""


def page(rows: list[dict[str, Any]]) -> str:
    """Return benchmarks/exporting.md."""
    about = (__doc__ or "").split("\n\n", 3)[3].strip()
    text = HEAD.format(about=about) + "\n".join(map(_line, rows)) + "\n"
    notes = [
        f"- `{row['model']}`, {row['precision']}: {row['refused']}"
        for row in rows
        if "refused" in row
    ]
    if notes:
        text += "\nRefused, and so not written:\n\n" + "\n".join(notes) + "\n"
    return text


def _line(row: dict[str, Any]) -> str:
    cells = [f"`{row['model']}`", row["format"], row["precision"]]
    if "refused" in row:
        cells += ["refused", "", "", ""]
    else:
        difference, agreement = row.get("difference"), row.get("agreement")
        cells += [
            f"{row['bytes'] / 1e6:.1f}",
            f"{row['milliseconds']:.0f}",
            "" if difference is None else f"{difference:.1e}",
            "" if agreement is None else f"{agreement:.0%}",
        ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
