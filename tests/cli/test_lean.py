"""What no command needs is left out where a backend is imported, and left."""

import fresh_python

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from keras_twostream.cli import _lean
_lean.install()
import tensorflow
assert not tensorflow.FOUND
assert "Surrounding" not in type(tensorflow.__spec__.loader).__name__
import jax
assert jax.VALUE == 1
assert not any("Absent" in type(x).__name__ for x in sys.meta_path)
"""


def test_jax_is_absent_until_tensorflow_is_there(tmp_path):
    """Both are modules that are made here."""
    (tmp_path / "tensorflow.py").write_text(
        "try:\n    import jax\n    FOUND = True\n"
        "except ImportError:\n    FOUND = False\n"
    )
    (tmp_path / "jax.py").write_text("VALUE = 1\n")
    fresh_python.run(SCRIPT, tmp_path)


def test_a_command_imports_keras_without_scikit_learn():
    code = (
        "import sys; from keras_twostream.cli import _lean; _lean.install()\n"
        "import keras; print('sklearn' in sys.modules)\n"
        "from sklearn.svm import LinearSVC; import keras.wrappers"
    )
    done = fresh_python.run(code)
    assert done.stdout == "False\n"


LIFE = """
import atexit, gc, sys
sys.path.insert(0, sys.argv[1])
atexit.register(lambda: print(gc.get_freeze_count() - frozen >= 900))
from keras_twostream.cli import _lean
_lean.install()
frozen = gc.get_freeze_count()
import tensorflow
print(tensorflow.COLLECTS, gc.isenabled(), gc.get_freeze_count() > frozen)
kept = [[] for _ in range(1000)]
frozen = gc.get_freeze_count()
"""


def test_a_backend_is_not_searched_for_garbage(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import gc\nCOLLECTS = gc.isenabled()\n"
    )
    done = fresh_python.run(LIFE, tmp_path)
    assert done.stdout == "False True True\nTrue\n"
