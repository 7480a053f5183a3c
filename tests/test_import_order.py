"""Whichever of our modules is first to import Keras, it works.

Starting Keras anew takes seconds, so one process forgets `keras` and
`keras_twostream` between two imports: the parts of Keras stay, and what is
tried is the order in which our own modules run.
"""

import subprocess
import sys

import pytest

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


def _run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


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
