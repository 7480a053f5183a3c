"""Two virtual CPU devices, and two processes, against one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from keras_twostream import training
from keras_twostream._cpus import lacks_bfloat16
from keras_twostream.errors import MissingLibraryError, SpecError
from keras_twostream.training import _devices

SCRIPT = """
import json
import keras, numpy as np
import tensorflow as tf
if keras.backend.backend() == "tensorflow":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_twostream import training

def learn(count, batch):
    with training.devices(count) as names:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2)])
        rate = keras.optimizers.SGD(0.1)
        model.compile(rate, training.CrossEntropy(), jit_compile=False)
        x = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
        y = (x[:, 0] > 0).astype("int32")
        data = tf.data.Dataset.from_tensor_slices((x, y))
        data = training.even_batches(data.batch(batch), count)
        model.fit(data, epochs=3, verbose=0)
        assert len(names) == count
        return [float(x) for w in model.get_weights() for x in w.ravel()]

import sys
sizes = map(int, sys.argv[1].split(","))
print(json.dumps([[learn(1, n), learn(2, n)] for n in sizes]))
"""


def _run(backend, *arguments):
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_PLATFORMS": "cpu",
    }
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


# The last batches are of 1, 10 and 6.
@pytest.mark.parametrize(
    "sizes", ["19", pytest.param("10,7", marks=pytest.mark.full)]
)
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_two_devices_learn_as_one(backend, sizes):
    if backend == "jax":
        pytest.importorskip("jax")
    for one, two in _run(backend, "-c", SCRIPT, sizes):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-6)


# Four videos to validate on, so that a batch of six is filled up.
@pytest.mark.full
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_train_command_on_two_devices(backend, video_folder, tmp_path):
    if backend == "jax":
        pytest.importorskip("jax")
    script = Path(__file__).with_name("two_devices.py")
    one, two = _run(backend, script, video_folder, tmp_path)
    assert two == pytest.approx(one, rel=1e-4)
    assert (tmp_path / "2" / "model" / "config.json").exists()


@pytest.mark.full
def test_two_processes_learn_as_one():
    pytest.importorskip("jax")
    address = f"localhost:{_free_port()}"
    alone = _finish(_process(0, address))
    pair = [_process(index, f"{address},localhost:0") for index in range(2)]
    for losses in map(_finish, pair):
        assert losses == pytest.approx(alone, rel=1e-5)


def _process(index, addresses):
    script = Path(__file__).with_name("two_processes.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(index), addresses],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _finish(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]
    return json.loads(output.splitlines()[-1])


def _free_port():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.mark.agnostic
def test_more_devices_than_there_are_is_an_error():
    if keras.backend.backend() == "torch":
        with (
            pytest.raises(MissingLibraryError, match="PyTorch does not"),
            training.devices(2),
        ):
            pass
        return
    with (
        pytest.raises(SpecError, match=r"`--devices`\) must lie in 1\.\."),
        training.devices(1000),
    ):
        pass


@pytest.mark.parametrize(
    ("flags", "lacks"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 amx_tile\n", False),
        ("flags\t\t: fpu avx2 avx512f avx512_vnni\n", True),
        ("Features\t: fp asimd bf16 i8mm\n", False),
        ("Features\t: fp asimd\n", True),
        ("model name\t: a processor\n", False),
    ],
)
def test_a_processor_says_if_it_knows_bfloat16(tmp_path, flags, lacks):
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"processor\t: 0\n{flags}")
    assert lacks_bfloat16(facts) is lacks
    assert lacks_bfloat16(tmp_path / "none") is False


def test_bfloat16_on_a_processor_without_it_warns(monkeypatch):
    monkeypatch.setattr(_devices, "lacks_bfloat16", lambda: True)
    monkeypatch.setattr(_devices, "has_gpu", lambda: False)
    try:
        with pytest.warns(UserWarning, match="no instructions for bfloat16"):
            training.set_precision("bfloat16")
    finally:
        training.set_precision("float32")


@pytest.mark.agnostic
def test_precision_is_set_by_name_or_by_the_device():
    try:
        assert training.set_precision("bfloat16") == "mixed_bfloat16"
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        assert training.set_precision("float32") == "float32"
    wide = "mixed_bfloat16" if training.has_gpu() else "float32"
    assert training.set_precision() == wide
    keras.config.set_dtype_policy("float32")
    with pytest.raises(SpecError, match="`precision` must be one of auto"):
        training.set_precision("float8")
