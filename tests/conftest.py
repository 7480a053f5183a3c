"""Fixtures for every test. The backend is chosen by KERAS_BACKEND."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
# XLA would optimise for minutes what runs for a second here.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# JAX compiles the same network once, however many tests build it.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
_compiled = Path(__file__).parents[1] / ".pytest_cache" / f"jax_{_worker}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(_compiled))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the processors
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import hypothesis
import pytest
from eagerly import eagerly

from keras_twostream import _acceleration

_acceleration.prefer_fast()  # before a test imports TensorFlow

# A busy machine is no wrong answer.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and flow, outside the project."""
    if not SHARED.is_dir():
        pytest.skip("the shared data is not beside this checkout")
    return SHARED


@pytest.fixture
def untraced():
    """TensorFlow traces a step for longer than it runs here."""
    with eagerly():
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    import sys

    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
