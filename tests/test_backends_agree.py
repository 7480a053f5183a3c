"""The same safetensors give the same logits on every backend.

The file is also the program that each other backend runs.
"""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from moving_texture import frames_moving

import keras_twostream as kts

SHIPPED = "spatiotemporal_resnet.actors"
SMALL = {"crop": (32, 32), "short_side": 32}
NETWORKS = {
    "c3d": {"variant": "small", "clip_spec": SMALL},
}
OTHERS = {"tensorflow", "jax", "torch"} - {keras.backend.backend()}


def logits(names):
    """Return each network's logits of one clip, by number."""
    frames = frames_moving(2, 1, count=80, height=120, width=160)
    result = {}
    for number, name in enumerate(names):
        model = kts.load(name)
        clips = kts.clips(frames, model)
        result[str(number)] = np.asarray(model.predict_on_batch(clips))
    return result


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    root = tmp_path_factory.mktemp("networks")
    folders = [
        kts.save_pretrained(
            getattr(kts.models, name)(5, **options), root / name
        )
        for name, options in NETWORKS.items()
    ]
    return [SHIPPED, *(f"local:{folder}" for folder in folders)]


@pytest.fixture(scope="module")
def expected(names):
    return logits(names)


@pytest.mark.parametrize("backend", sorted(OTHERS))
def test_the_same_file_gives_the_same_logits(backend, request, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    expected = request.getfixturevalue("expected")
    names = request.getfixturevalue("names")
    file = tmp_path / "logits.npz"
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, __file__, file, *names]
    subprocess.run(command, env=environment, check=True, timeout=1800)
    with np.load(file) as result:
        assert set(result) == set(expected)
        for number, values in expected.items():
            np.testing.assert_allclose(result[number], values, atol=1e-4)


if __name__ == "__main__":
    np.savez(sys.argv[1], **logits(sys.argv[2:]))
