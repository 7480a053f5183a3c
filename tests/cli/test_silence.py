"""TensorFlow is imported in silence, here a package that only makes noise."""

import fresh_python

SCRIPT = """
import os, sys
sys.path.insert(0, sys.argv[1])
from keras_twostream.cli import _silence
_silence.install()
import tensorflow
assert tensorflow.VALUE == 1
assert not any("Silen" in type(x).__name__ for x in sys.meta_path)
assert "Silent" not in type(tensorflow.__spec__.loader).__name__
assert not any("Surround" in type(x).__name__ for x in sys.meta_path)
assert "Surround" not in type(tensorflow.__spec__.loader).__name__
os.write(2, b"afterwards")
"""


def test_an_import_is_silent_and_what_follows_is_not(tmp_path):
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os\nos.write(2, b'no device was found')\nVALUE = 1\n"
    )
    done = fresh_python.run(SCRIPT, tmp_path)
    assert done.stderr == "afterwards"
