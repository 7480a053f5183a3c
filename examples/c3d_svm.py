"""C3D's fc6 features and a linear SVM (Tran et al. 2015, section 4).

    python examples/c3d_svm.py c3d train_videos test_videos features

`c3d` is a run folder, a model folder, or a weight's name. Both folders have
one folder of videos per class. Further arguments go to `features`, such as
`--clips 5`; what it has written before is not computed again.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from keras_twostream.data import read_annotations
from keras_twostream.training import accuracy_report, svm_fusion

model, train, test, out, *further = sys.argv[1:]
TAP = "rgb.fc6"


def features(folder: str, part: str) -> tuple[dict, np.ndarray]:
    """A row for each video, the mean over its clips, and the labels."""
    program = [sys.executable, "-m", "keras_twostream", "features", model]
    target = Path(out, part)
    flags = ["--data", folder, "--tap", TAP, "--out", str(target), *further]
    subprocess.run([*program, *flags], check=True)
    found = read_annotations(folder)
    files = [
        target / Path(path).parent.name / f"{Path(path).stem}.safetensors"
        for path in found.paths
    ]
    rows = [load_file(file)[TAP].mean(axis=0) for file in files]
    return {TAP: np.stack(rows)}, np.array(found.labels)


# `svm_fusion` brings each row to length 1, as the authors do.
rows, labels = features(train, "train")
unseen, truth = features(test, "test")
scores = svm_fusion(rows, labels, unseen)
print(accuracy_report(scores[:, : labels.max() + 1], truth))
