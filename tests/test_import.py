"""`import keras_twostream` is light, and still enough for Keras."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Starting Keras anew takes seconds, so one process forgets `keras` and
# `keras_twostream` between two imports: the parts of Keras stay, and what is
# tried is the order in which our own modules run.
IN_ANY_ORDER = """
import importlib, sys
import keras, keras_twostream

def forget():
    keras.saving.get_custom_objects().clear()
    for name in list(sys.modules):
        if name == "keras" or name.partition(".")[0] == "keras_twostream":
            del sys.modules[name]

def known():
    return set(keras.saving.get_custom_objects())

# What registering imports; other modules cannot be in its way.
names = [name for name in sys.modules if name.startswith("keras_twostream.")]
everything = known()
for name in names:
    forget()
    importlib.import_module(name)
    import keras
    if known() != everything:
        print(name, "leaves out", everything - known())
print(len(names) > 20 and "keras_twostream>TVL1" in everything)
"""

HEAVY = ("keras", "tensorflow", "jax", "torch", "cv2", "huggingface_hub")


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_and_listing_load_nothing_heavy():
    code = (
        "import sys, keras_twostream as kts\n"
        "kts.list_models(); kts.ClipSpec()\n"
        f"print([n for n in {HEAVY} if n in sys.modules])"
    )
    assert _run(code) == "[]"


@pytest.mark.parametrize(
    "order",
    [
        "import keras_twostream, keras",
        pytest.param("import keras, keras_twostream", marks=pytest.mark.full),
        pytest.param(
            "import keras_twostream; from keras.layers import Dense",
            marks=pytest.mark.full,
        ),
    ],
)
def test_layers_register_and_names_resolve_in_any_import_order(order):
    code = (
        f"{order}\nimport keras\n"
        "get = keras.saving.get_registered_object\n"
        "print(get('keras_twostream>StreamInput').__name__)\n"
        "import keras_twostream as kts\n"
        "for name in kts.__all__: getattr(kts, name)\n"
        "kts.taps; kts.inspection; print(callable(kts.taps))"
    )
    assert _run(code).split() == ["StreamInput", "True"]


def test_every_module_may_be_the_first_to_import_keras():
    assert _run(IN_ANY_ORDER) == "True"


@pytest.mark.full
@pytest.mark.parametrize("name", ["flow.tvl1", "training.CrossEntropy"])
def test_first_use_of_a_name_in_a_fresh_interpreter(name):
    package, _, attribute = name.partition(".")
    code = (
        f"from keras_twostream import {package}\n"
        f"{package}.{attribute}\n"
        "import keras\n"
        "get = keras.saving.get_registered_object\n"
        "print(get('keras_twostream>StreamInput').__name__)"
    )
    assert _run(code) == "StreamInput"


# Python as it is where TensorFlow is not installed.
WITHOUT_TENSORFLOW = """
import pathlib
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "tensorflow":
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import keras_twostream as kts
from keras_twostream import actors

folder = sys.argv[1]
video = folder + "/wave.mp4"
actors.write_clip(video, "wave_hand", index=0)
model = kts.load("spatiotemporal_resnet.actors")
before = kts.predict(video, model)
kts.save_pretrained(model, folder + "/model", license="mit")
again = kts.load("local:" + folder + "/model")
scores = kts.training.evaluate_videos(
    again,
    [(video, actors.CLASSES.index("wave_hand"))],
    num_clips=2,
    batch_size=2,
)
assert scores.report()["fused"]["top1"] == 1.0

import keras
import numpy as np

frames = keras.Input((2, 20, 24, 1))
layer = kts.flow.TVL1(scales=1, warps=1, iterations=2)
inside = keras.Model(frames, layer(frames))
still = np.zeros((1, 2, 20, 24, 1), "float32")
assert not np.asarray(inside.predict_on_batch(still)).any()

from keras_twostream.pretrained import _readers

checkpoint = _readers.read(pathlib.Path(folder, "net.index"))
assert checkpoint["RGB/conv_3d/w"].tolist() == [[1.0, 2.0]]
for package, attribute in (
    ("data", "video_dataset"),
    ("training", "TensorBoardImages"),
    ("training", "train"),
):
    try:
        getattr(getattr(kts, package), attribute)
    except kts.errors.MissingLibraryError as error:
        assert "pip install tensorflow" in str(error), error
    else:
        raise AssertionError(attribute)
print(before.classes[before.probabilities.argmax()])
"""


@pytest.mark.agnostic
@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow",
    reason="Keras itself runs on TensorFlow",
)
def test_other_backends_work_without_tensorflow(tmp_path):
    import tensorflow as tf

    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "net"),
        tensor_names=["RGB/conv_3d/w"],
        shape_and_slices=[""],
        tensors=[tf.constant([[1.0, 2.0]])],
    )
    code = WITHOUT_TENSORFLOW.replace("sys.argv[1]", repr(str(tmp_path)))
    assert _run(code).splitlines()[-1] == "wave_hand"


def _imported(path: Path) -> set[tuple[str, str]]:
    """Return (module, name) of what a file takes from the package."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if node.module.partition(".")[0] == "keras_twostream"
    }


@pytest.mark.parametrize("folder", ["benchmarks", "examples"])
def test_scripts_import_what_is_there(folder):
    """They are too long to run at every change."""
    root = Path(__file__).parents[1]
    names = set().union(*map(_imported, root.glob(f"{folder}/**/*.py")))
    assert names
    for module, name in names:
        if not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")
