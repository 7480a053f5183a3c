"""`import keras_twostream` is light, and still enough for Keras."""

import subprocess
import sys

import pytest

HEAVY = ("keras", "tensorflow", "jax", "torch", "cv2", "huggingface_hub")


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_and_listing_load_nothing_heavy():
    code = (
        "import sys, keras_twostream as kts\n"
        "kts.list_models(); kts.ClipSpec()\n"
        f"print([n for n in {HEAVY} if n in sys.modules])"
    )
    assert _run(code).strip() == "[]"


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
    assert _run(code).strip() == "StreamInput"


def test_every_public_name_resolves():
    code = (
        "import keras_twostream as kts\n"
        "for name in kts.__all__: getattr(kts, name)\n"
        "kts.taps; kts.inspection; print(callable(kts.taps))"
    )
    assert _run(code).strip() == "True"
