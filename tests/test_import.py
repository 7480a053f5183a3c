"""`import keras_twostream` is light, and still enough for Keras."""

import subprocess
import sys

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
        "import keras, keras_twostream",
        "import keras_twostream; from keras.layers import Dense",
    ],
)
def test_layers_register_with_keras_in_any_import_order(order):
    code = (
        f"{order}\nimport keras\n"
        "get = keras.saving.get_registered_object\n"
        "print(get('keras_twostream>StreamInput').__name__)"
    )
    assert _run(code) == "StreamInput"


def test_every_public_name_resolves():
    code = (
        "import keras_twostream as kts\n"
        "for name in kts.__all__: getattr(kts, name)\n"
        "kts.taps; kts.inspection; print(callable(kts.taps))"
    )
    assert _run(code) == "True"


def test_every_module_may_be_the_first_to_import_keras():
    assert _run(IN_ANY_ORDER) == "True"


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
