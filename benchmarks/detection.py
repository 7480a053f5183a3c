"""Action tubes on actors who were never seen: what each part is worth.

Draws videos of several people, trains a detector on both streams and one on
each alone, and measures them, and the same boxes without linking.

    python benchmarks/detection.py --train 240 --steps 3000

A detector that is trained already is taken from the folder as it is, and
`--first 24` measures it on videos after the first 24:

    python benchmarks/detection.py --first 24

One stream alone is a detector of its own: it has the weights of its network,
which trains on a loss of its own beside the other, and SVMs that were trained
on its features only.
"""

import argparse
import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_twostream as kts
from keras_twostream import actors, detection

RECIPE = "action_tubes_actors"
STREAMS = {"both": ("rgb", "flow"), "rgb": ("rgb",), "flow": ("flow",)}
COLUMNS = ("frame_ap", "linked_frame_ap", "video_ap", "auc")


def main() -> None:
    """Print the table, and write it with --out."""
    arguments = _arguments()
    folder = arguments.folder
    last = arguments.first + arguments.test
    test = _videos(folder, last, "test")[arguments.first :]
    place = f"measured_from_{arguments.first}.json"
    both, rows = None, {}
    for name, streams in STREAMS.items():
        out = folder / f"run_{name}"
        detector = _trained(out, streams, arguments, both)
        both = both or detector
        rows[name] = _measured(detector, test, out / place)
        print(_row(name, rows[name]), flush=True)
    print(_by_class(rows["both"]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("company"))
    parser.add_argument("--train", type=int, default=240, help="videos")
    parser.add_argument("--test", type=int, default=24, help="videos")
    parser.add_argument("--first", type=int, default=0, help="test video")
    parser.add_argument("--frames", type=int, default=3, help="of a video")
    parser.add_argument("--steps", type=int)
    return parser.parse_args()


def _videos(folder: Path, count: int, split: str):
    return detection.read_boxes(actors.generate_company(folder, count, split))


def _trained(out: Path, streams, arguments, both):
    if (out / "model" / "config.json").exists():
        return kts.load(f"local:{out / 'model'}")
    videos = _videos(arguments.folder, arguments.train, "train")
    detector = detection.train_detector(
        videos,
        out,
        classes=actors.COMPANY_CLASSES,
        recipe=RECIPE,
        settings=detection.DetectorSettings(
            frames=arguments.frames, steps=arguments.steps
        ),
        report=print,
        network=both,
        streams=streams,
    )
    kts.save_pretrained(detector, out / "model", license="apache-2.0")
    return detector


def _measured(detector, videos, place: Path) -> dict:
    if not place.exists():
        found = detection.evaluate_detector(detector, videos)
        place.write_text(json.dumps(found, indent=2))
    return json.loads(place.read_text())


def _row(name: str, found) -> str:
    numbers = " | ".join(f"{found[column]:.3f}" for column in COLUMNS)
    return f"| {name} | {numbers} |"


def _by_class(found) -> str:
    lines = [f"| class | {' | '.join(COLUMNS[:3])} |", "|---|---|---|---|"]
    for label, row in found["classes"].items():
        numbers = " | ".join(f"{row[column]:.3f}" for column in COLUMNS[:3])
        lines.append(f"| {label} | {numbers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
