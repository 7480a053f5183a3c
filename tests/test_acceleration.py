"""oneDNN is asked for where the library brings TensorFlow, and only there."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from keras_twostream import _acceleration
from keras_twostream._acceleration import ONEDNN


def _run(code: str, **environment: str) -> list[str]:
    """Return the words that a fresh process prints."""
    clean = {k: v for k, v in os.environ.items() if k != ONEDNN}
    done = subprocess.run(
        [sys.executable, "-c", f"import os\n{code}"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**clean, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


BY_US = f"import keras_twostream.inspection\nprint(os.environ.get({ONEDNN!r}))"
BY_USER = (
    "import tensorflow, keras_twostream as kts\n"
    "from keras_twostream import _acceleration as a\n"
    f"print(os.environ.get({ONEDNN!r}))\n"
    "a._onednn_is_on = lambda: False\n"
    "print('oneDNN' in str(a.left_out()))"
)


def test_the_library_asks_for_it_where_it_brings_keras():
    assert _run(BY_US) == ["1"]


@pytest.mark.parametrize(
    ("imported", "before", "after"),
    [
        (False, None, "1"),
        (False, "0", "0"),
        (True, None, None),
        (True, "0", "0"),
    ],
)
def test_what_the_user_has_set_or_begun_stays(
    monkeypatch, imported, before, after
):
    environ = {} if before is None else {ONEDNN: before}
    modules = {"tensorflow": None} if imported else {}
    monkeypatch.setattr(_acceleration, "os", SimpleNamespace(environ=environ))
    monkeypatch.setattr(_acceleration, "sys", SimpleNamespace(modules=modules))
    _acceleration.prefer_fast()
    assert environ.get(ONEDNN) == after


@pytest.mark.full
def test_who_imports_tensorflow_first_is_told():
    assert _run(BY_USER, KERAS_BACKEND="tensorflow") == ["None", "True"]


def test_the_notice_comes_once(monkeypatch):
    monkeypatch.setattr(_acceleration, "left_out", lambda: "slow")
    monkeypatch.setattr(_acceleration, "_noticed", False)
    with pytest.warns(UserWarning, match="slow") as seen:
        _acceleration.notice()
        _acceleration.notice()
    assert len(seen) == 1
