"""The wait before the first answer and the first training step, by part.

    python benchmarks/startup.py [--only predict train]

Draws 54 actors into a folder that is thrown away, and starts a fresh process
for each job, which states the seconds of its parts by the clock and of its
processors. Another program on the machine changes the latter least.

    predict   the shipped network names one video, then another one
    train     two epochs of the shipped network from a filled cache
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VIDEOS, HELD_OUT = 54, 10
JOBS = ("predict", "train")


class Parts:
    """Seconds since the last mark, by the clock and of the processors."""

    def __init__(self, job: str) -> None:
        self._job, self._last = job, (time.perf_counter(), time.process_time())

    def __call__(self, part: str) -> None:
        now = time.perf_counter(), time.process_time()
        wall, work = (b - a for a, b in zip(self._last, now, strict=True))
        self._last = now
        print(f"| {self._job} | {part} | {work:.2f} | {wall:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", default=JOBS, choices=JOBS)
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        job, folder = given.inside
        {"predict": predict, "train": train}[job](Path(folder))
        return
    print("| job | part | processor s | s |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder))
        for job in given.only:
            command = [sys.executable, __file__, "--inside", job, folder]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def draw(folder: Path) -> None:
    """Draw the videos, and keep their frames and flow for `train`."""
    import keras_twostream as kts
    from keras_twostream import actors
    from keras_twostream.data.cache import Contract
    from keras_twostream.data.extraction import extract

    actors.generate(folder, VIDEOS, workers=0, progress=False)
    model = kts.load("spatiotemporal_resnet.actors")
    contract = Contract.of(kts.clip_spec(model))
    extract(folder / "train", folder / "cache", contract, workers=1)


def imported(parts: Parts):
    """Import what every job needs, TensorFlow apart."""
    import keras_twostream as kts
    from keras_twostream import _acceleration

    _acceleration.prefer_fast()
    import keras

    keras.config.disable_interactive_logging()
    parts("import of Keras and TensorFlow")
    kts.training, kts.predict  # noqa: B018
    parts("import of the rest")
    return kts


# === Jobs ===


def predict(folder: Path) -> None:
    parts = Parts("predict")
    kts = imported(parts)
    model = kts.load("spatiotemporal_resnet.actors")
    parts("load")
    for place in ("first", "second", "third"):
        video = next((folder / "train" / NAMES[place]).glob("*.mp4"))
        found = kts.predict(video, model)
        parts(f"{place} video, {len(found.windows)} windows")
        spent = ", ".join(f"{k} {v:.2f}" for k, v in found.seconds.items())
        print(f"| predict | of it by the clock: {spent} | | |", flush=True)


NAMES = {"first": "run", "second": "jump", "third": "bend"}


def train(folder: Path) -> None:
    parts = Parts("train")
    kts = imported(parts)
    import keras

    class Watch(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            parts("compilation, and all until fit begins")

        def on_epoch_begin(self, epoch, logs=None):
            if epoch:
                parts("best weights, log and checkpoint")

        def on_train_batch_end(self, batch, logs=None):
            if batch == 0:
                parts("first step of an epoch")

        def on_test_begin(self, logs=None):
            parts("other steps")

        def on_test_end(self, logs=None):
            parts("validation")

    found = kts.data.read_annotations(folder / "train.json")
    items = list(zip(found.paths, found.labels, strict=True))
    model = kts.load("spatiotemporal_resnet.actors", outputs="streams")
    parts("lists and load")
    recipe = kts.training.load_recipe("finetune").replace(least_steps=0)
    settings = kts.training.RunSettings(cache=str(folder / "cache"), epochs=2)
    kts.training.train(
        model,
        items[HELD_OUT:],
        recipe,
        folder / "run",
        validation=items[:HELD_OUT],
        settings=settings,
        callbacks=[Watch()],
    )
    parts("last checkpoint and curves")


if __name__ == "__main__":
    main()
