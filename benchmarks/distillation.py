"""A two-stream teacher, rgb alone, and rgb that learned from the teacher.

    python benchmarks/distillation.py WORK [--real UCF101_SIX] [--steps 1200]

Three sets of videos, of which two tell classes apart by motion:

    actors    the seventeen classes of the drawn actors; the shipped network
              is the teacher
    sideways  real clips forwards or backwards, as they are or mirrored: the
              class is whether the picture moves to the left or to the right
    six       real clips by their six classes

Both rgb networks begin with the teacher's rgb stream, see four adjacent frames
at each of its steps, and train for as many steps on the same videos; one has
the teacher's features and scores to follow, and its answers to clips that are
played otherwise. The teacher of real clips is trained here, from the actors'
weights, on smaller frames and for 300 steps. Milliseconds are of one clip, its
optical flow and the folded network, without decoding. What is in WORK already
is not done again, and a run that was killed goes on.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras
import numpy as np
import real_videos

import keras_twostream as kts
from keras_twostream import actors, training

SHIPPED = "spatiotemporal_resnet.actors"
SETS = ("actors", "sideways", "six")
NETWORKS = ("teacher", "rgb alone", "distilled rgb")
DRAWN = {"train": 408, "test": 340}
REAL = {"train": 40, "test": 40}  # videos of each of six classes
SMALL = {"short_side": 72, "crop": (64, 84)}  # of the real clips
STEPS = 300  # of the teacher
FRAMES = {"frames_per_step": 4}  # of the students
TIMED = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--real", type=Path, help="six classes of UCF-101")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--few", action="store_true", help="a trial")
    given = parser.parse_args()
    print("| set | network | videos right | ms a clip |\n|---|---|---|---|")
    for name in given.sets:
        if name != "actors" and given.real is None:
            continue
        print(*Study(name, given).rows(), sep="\n", flush=True)


class Study:
    """One set of videos: its networks, measured once each."""

    def __init__(self, name: str, given: argparse.Namespace) -> None:
        self._name, self._steps = name, given.steps
        self._work = given.work / name
        self._work.mkdir(parents=True, exist_ok=True)
        self._results = self._work / "results.json"
        make = {"actors": drawn, "sideways": moving, "six": by_class}[name]
        self._lists = {
            part: make(self._work / "videos", part, given)
            for part in ("train", "test")
        }
        self._classes = self._lists["train"].classes

    def rows(self) -> list[str]:
        """Return a row for each network, then the share of the gap closed."""
        found = [self._measured(network) for network in NETWORKS]
        rows = [
            f"| {self._name} | {network} | {x['top1']:.1%} | {x['ms']:.0f} |"
            for network, x in zip(NETWORKS, found, strict=True)
        ]
        best, alone, distilled = (x["top1"] for x in found)
        if best > alone:
            share = (distilled - alone) / (best - alone)
            rows.append(f"| {self._name} | gap closed | {share:.0%} | |")
        return rows

    def _measured(self, network: str) -> dict[str, float]:
        known = {}
        if self._results.exists():
            known = json.loads(self._results.read_text())
        if network not in known:
            model = self._trained(network)
            known[network] = {
                "top1": self._accuracy(model),
                "ms": milliseconds(model, self._lists["test"].paths[0]),
            }
            self._results.write_text(json.dumps(known, indent=1))
        return known[network]

    def _accuracy(self, model: keras.Model) -> float:
        scores = training.evaluate_videos(
            model, self._lists["test"], num_clips=3, workers=2
        )
        return scores.report()["fused"]["top1"]

    def _trained(self, network: str) -> keras.Model:
        folder = self._work / network.replace(" ", "_")
        if (folder / "model").exists():
            return kts.load(f"local:{folder / 'model'}")
        if network == "teacher" and self._name == "actors":
            return kts.load(SHIPPED)
        keras.utils.set_random_seed(0)
        if network == "teacher":
            return self._run(folder, self._new(), "finetune")
        teacher = self._trained("teacher")
        name = f"local:{self._work / 'teacher' / 'model'}"
        if self._name == "actors":
            name = SHIPPED
        student = kts.load(name, streams=("rgb",), clip_spec=FRAMES)
        if network == "rgb alone":
            return self._run(folder, student, "finetune")
        return self._run(folder, student, "distillation", teacher)

    def _new(self) -> keras.Model:
        return kts.load(
            SHIPPED, classes=self._classes, outputs="streams", clip_spec=SMALL
        )

    def _run(
        self,
        folder: Path,
        model: keras.Model,
        recipe: str,
        teacher: keras.Model | None = None,
    ) -> keras.Model:
        videos = self._lists["train"]
        streams = kts.clip_spec(model if teacher is None else teacher).streams
        own = kts.clip_spec(model).streams
        steps = STEPS if "flow" in own else self._steps
        each = len(videos.paths) // training.load_recipe(recipe).batch_size
        training.train(
            model,
            videos,
            training.load_recipe(recipe).replace(least_steps=0),
            folder,
            teacher=teacher,
            settings=training.RunSettings(
                epochs=-(-steps // max(each, 1)),
                keep="last",
                cache=str(self._work / f"cache_{'_'.join(streams)}"),
                batch_size=min(16, len(videos.paths)),
            ),
        )
        kts.inspection.update_card(model, head_trained=True)
        model = training.fused_copy(model)
        kts.save_pretrained(model, folder / "model")
        return model


# === Videos ===


def drawn(
    folder: Path, part: str, given: argparse.Namespace
) -> kts.data.Annotations:
    count = 17 if given.few else DRAWN[part]
    actors.generate(folder, count, part, progress=False)
    return kts.data.read_annotations(folder / f"{part}.json")


def moving(
    folder: Path, part: str, given: argparse.Namespace
) -> kts.data.Annotations:
    made = real_videos.left_and_right(chosen(part, given), folder / part)
    return kts.data.read_annotations(made)


def by_class(
    folder: Path, part: str, given: argparse.Namespace
) -> kts.data.Annotations:
    made = real_videos.linked(chosen(part, given), folder / part)
    return kts.data.read_annotations(made)


def chosen(part: str, given: argparse.Namespace) -> list[Path]:
    """Return videos of each class, of recordings that the other part lacks."""
    found = []
    for folder in sorted(given.real.iterdir()):
        inside = [
            path
            for path in sorted(folder.glob("*.mp4"))
            if (part == "test") == real_videos.is_tested(path)
        ]
        count = 2 if given.few else REAL[part]
        places = np.linspace(0, len(inside) - 1, min(count, len(inside)))
        found += [inside[int(place)] for place in places]
    return found


# === Time ===


def milliseconds(model: keras.Model, path: str) -> float:
    """Return the median time of one clip: flow, cutting and the network."""
    network = kts.deploy.folded(model)
    frames = kts.data.read_frames(path)[: kts.clip_spec(model).span() + 1]
    times = []
    for _ in range(TIMED):
        start = time.perf_counter()
        network.predict_on_batch(kts.clips(frames, model))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    main()
