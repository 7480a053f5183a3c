"""One training step of the network that ships, on the present backend.

    KERAS_BACKEND=tensorflow python benchmarks/training_step.py [--batch 16]

Prints wall time and processor time, which other work on the machine does not
change. Run it once per backend; on a GPU it measures that.
"""

import argparse
import time

import keras
import numpy as np

import keras_twostream as kts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    recipe = kts.training.load_recipe("actors")
    model = kts.load(
        "spatiotemporal_resnet",
        weights=None,
        num_classes=16,
        clip_spec=dict(recipe.spec),
        **recipe.options,
    )
    kts.training.compile(model, recipe, steps=1000)
    clips, labels = random_clips(model, given.batch)
    model.train_on_batch(clips, labels)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(given.steps):
        model.train_on_batch(clips, labels)
    wall = (time.perf_counter() - wall) / given.steps
    processor = (time.process_time() - processor) / given.steps
    print("| backend | batch | s per step | processor s | clips/s |")
    print("|---|---|---|---|---|")
    print(
        f"| {keras.backend.backend()} | {given.batch} | {wall:.2f} | "
        f"{processor:.2f} | {given.batch / wall:.1f} |"
    )


def random_clips(model: keras.Model, batch: int) -> tuple[dict, dict]:
    """Noise of the size that the model eats."""
    spec, rng = kts.clip_spec(model), np.random.default_rng(0)
    shape = (batch, spec.clip_length, *spec.crop)
    clips = {
        "rgb": rng.integers(0, 256, (*shape, 3)).astype("uint8"),
        "flow": rng.normal(size=(*shape, 2 * spec.flow_length)),
    }
    answer = np.arange(batch) % 16
    return clips, {head: answer for head in model.output}


if __name__ == "__main__":
    main()
