"""Do clips betray their class by anything but the action?

Length, framing, mean colour and file size are drawn apart from the class, so
a classifier of these alone must stay at chance. From the command line::

    python benchmarks/actors_bias.py FOLDER COUNT
"""

import sys
from pathlib import Path

import av
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_twostream.actors.classes import CLASSES
from keras_twostream.actors.rendering import generate
from keras_twostream.actors.scene import open_scene

NUISANCES = ("frames", "x", "y", "height", "red", "green", "blue", "log_bytes")


def nuisances(path: Path, split: str, seed: int, index: int) -> list[float]:
    """What a clip's file tells without a look at the action.

    Args:
        path: File written by `generate`.
        split, seed, index: As the clip was made.

    Returns:
        One number for each of `NUISANCES`; position and height of the figure
        in frame heights, as the scene placed it.
    """
    with av.open(str(path)) as container:
        frames = [
            frame.to_ndarray(format="rgb24")
            for frame in container.decode(video=0)
        ]
    size = frames[0].shape[:2]
    scene = open_scene(CLASSES[-1], seed, split, index, size)[0]
    place = np.array([*scene.anchor, scene.height]) / size[0]
    colour = np.mean(frames, axis=(0, 1, 2))
    weight = np.log(path.stat().st_size)
    return [len(frames), *place, *colour, weight]


def nuisance_accuracy(features, labels) -> float:
    """Cross-validated accuracy of a logistic regression on nuisances.

    Args:
        features: (N, 8), rows from `nuisances`.
        labels: (N,) class indices.

    Returns:
        Share of right answers over five folds.
    """
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    scores = cross_val_score(model, np.asarray(features), labels, cv=5)
    return float(scores.mean())


def measure(folder, count: int, split: str = "train", seed: int = 0) -> float:
    """Generate `count` clips and see how far their nuisances go.

    Returns:
        Accuracy; chance is 1 / 17.
    """
    clips = generate(folder, count, split, seed)
    features = [
        nuisances(path, split, seed, index)
        for index, (path, _) in enumerate(clips)
    ]
    return nuisance_accuracy(features, [label for _, label in clips])


if __name__ == "__main__":
    accuracy = measure(sys.argv[1], int(sys.argv[2]))
    print(f"accuracy {accuracy:.3f}, chance {1 / len(CLASSES):.3f}")
