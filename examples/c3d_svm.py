"""C3D's fc6 features and a linear SVM (Tran et al. 2015, section 4).

    python examples/c3d_svm.py c3d train_videos test_videos features

`c3d` is a run folder, a model folder, or a weight's name. Both folders have
one folder of videos per class, and the SVM knows the first one's classes.
Further arguments go to `features`, such as `--clips 5`; what it has written
before is not computed again.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from keras_twostream.data import read_annotations
from keras_twostream.training import accuracy_report, svm_fusion

model, train, test, out, *further = sys.argv[1:]
TAP = "rgb.fc6"


def features(folder: str, part: str) -> tuple[dict, list[str]]:
    """A row for each video, the mean over its clips, and its class."""
    program = [sys.executable, "-m", "keras_twostream", "features", model]
    flags = ["--data", folder, "--tap", TAP, "--out", str(Path(out, part))]
    done = subprocess.run(
        [*program, *flags, "--json", *further],
        check=True,
        stdout=subprocess.PIPE,
    )
    files = json.loads(done.stdout)["files"]
    found = read_annotations(folder)
    rows = [
        load_file(f"{files[path]}.safetensors")[TAP].mean(axis=0)
        for path in found.paths
    ]
    return {TAP: np.stack(rows)}, [found.classes[x] for x in found.labels]


# `svm_fusion` brings each row to length 1, as the authors do.
rows, names = features(train, "train")
unseen, truth = features(test, "test")
number = {name: i for i, name in enumerate(sorted(set(names)))}
scores = svm_fusion(rows, [number[name] for name in names], unseen)
labels = np.array([number[name] for name in truth])
print(accuracy_report(scores[:, : len(number)], labels))
