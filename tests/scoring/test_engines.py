"""ONNX Runtime gives Keras's scores, and is taken only where it may be."""

import time

import keras
import numpy as np
import pytest
from small_model import small_model

import keras_twostream as kts
from keras_twostream import onnx_files
from keras_twostream.errors import MissingLibraryError, SpecError
from keras_twostream.scoring import engines
from keras_twostream.scoring.engines import Engine, export_path
from keras_twostream.scoring.scorer import scorer

pytestmark = pytest.mark.agnostic

tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow" or bool(onnx_files.missing()),
    reason="exported on TensorFlow, with ONNX's libraries",
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A cache folder and sessions of the test's own."""
    monkeypatch.setenv("KERAS_TWOSTREAM_HOME", str(tmp_path))
    monkeypatch.setattr(engines, "_opened", {})
    return tmp_path


@pytest.fixture
def clips():
    rng = np.random.default_rng(0)
    return {
        "rgb": rng.integers(0, 256, (2, 2, 24, 24, 3), "uint8"),
        "flow": rng.normal(0, 3, (2, 2, 24, 24, 4)).astype("float32"),
    }


def shapes(clips):
    return {name: clip.shape for name, clip in clips.items()}


@tensorflow
def test_one_export_serves_every_later_job(clips, home):
    network = scorer(small_model())
    expected = network.predict_on_batch(clips)
    short = Engine("auto", network, clips=2)
    assert short(clips) is None and short.used == "keras"
    assert not list(home.rglob("*.onnx"))
    asked = Engine("onnxruntime", network, clips=2)
    for engine in (asked, Engine("auto", network, clips=2)):
        result = engine(clips)
        assert engine.used == "onnxruntime"
        for name, scores in expected.items():
            limit = 1e-4 * np.abs(scores).max()
            np.testing.assert_allclose(result[name], scores, atol=limit)
    assert [path.suffix for path in (home / "engines").iterdir()] == [".onnx"]


@tensorflow
def test_a_long_job_makes_an_export_and_other_weights_another(clips, home):
    model = small_model()
    network = scorer(model)
    assert Engine("auto", network, engines.LONG)(clips)
    first = export_path(network, shapes(clips))
    assert first.exists()
    model.get_layer("rgb_fc").bias.assign_add([1.0, 0.0, 0.0])
    assert export_path(network, shapes(clips)) != first
    assert Engine("auto", network, clips=2)(clips) is None


@tensorflow
def test_an_export_that_is_slower_runs_only_where_asked_for(
    clips, home, monkeypatch
):
    opened = onnx_files.open_file

    def slow(path):
        run = opened(path)

        def late(clips):
            time.sleep(0.5)
            return run(clips)

        return late

    monkeypatch.setattr(onnx_files, "open_file", slow)
    network = scorer(small_model())
    for _ in range(2):
        assert Engine("auto", network, engines.LONG)(clips) is None
    path = export_path(network, shapes(clips))
    made = path.stat().st_mtime_ns
    assert Engine("onnxruntime", network, clips=2)(clips)
    assert Engine("auto", network, clips=2)(clips) is None
    assert path.stat().st_mtime_ns == made


@tensorflow
def test_a_network_in_half_precision_is_left_to_keras(clips, home):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = scorer(small_model())
    finally:
        keras.config.set_dtype_policy("float32")
    assert Engine("auto", network, engines.LONG)(clips) is None
    assert not list(home.rglob("*.onnx"))
    with pytest.raises(SpecError, match="computes in half precision"):
        Engine("onnxruntime", network, clips=2)


@tensorflow
def test_an_export_that_differs_is_not_kept(clips, home, monkeypatch):
    network = scorer(small_model())
    opened = onnx_files.open_file

    def wrong(path):
        run = opened(path)
        return lambda clips: {k: 1.01 * v for k, v in run(clips).items()}

    monkeypatch.setattr(onnx_files, "open_file", wrong)
    with pytest.raises(SpecError, match="differ from Keras's by 1.0e-02"):
        Engine("onnxruntime", network, clips=2)(clips)
    assert Engine("auto", network, engines.LONG)(clips) is None
    assert not list(home.rglob("*.onnx"))


def test_scores_that_are_no_numbers_differ():
    scores = np.ones((2, 3))
    engines._compare("rgb", scores, scores)
    with pytest.raises(SpecError, match="scores of rgb differ"):
        engines._compare("rgb", np.full((2, 3), np.nan), scores)


@tensorflow
def test_each_shape_of_batch_has_a_runner_of_its_own(clips, monkeypatch):
    made = []

    def runner(engine, clips, shapes):
        made.append(len(clips["rgb"]))
        return lambda clips: {"fused": np.zeros(len(clips["rgb"]))}

    monkeypatch.setattr(Engine, "_runner", runner)
    engine = Engine("onnxruntime", scorer(small_model()), clips=3)
    last = {name: clip[:1] for name, clip in clips.items()}
    for batch in (clips, last, clips):
        assert len(engine(batch)["fused"]) == len(batch["rgb"])
    assert made == [2, 1]


@tensorflow
def test_a_gpu_keeps_keras(clips, home, monkeypatch):
    monkeypatch.setattr(engines._acceleration, "has_gpu", lambda: True)
    assert Engine("auto", scorer(small_model()), engines.LONG)(clips) is None
    assert not list(home.rglob("*.onnx"))


@tensorflow
def test_a_prediction_names_its_engine():
    model = small_model()
    frames = np.random.default_rng(0).integers(0, 256, (30, 32, 40, 3), "uint8")
    plain = kts.predict(frames, model, engine="keras")
    prediction = kts.predict(frames, model, engine="onnxruntime")
    assert (plain.engine, prediction.engine) == ("keras", "onnxruntime")
    assert prediction.to_json()["engine"] == "onnxruntime"
    np.testing.assert_allclose(
        prediction.probabilities, plain.probabilities, atol=1e-4
    )


def test_an_unknown_engine_is_refused():
    with pytest.raises(SpecError, match="Did you mean onnxruntime"):
        kts.predict("a.mp4", "b", engine="onnxruntim")


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(onnx_files, "NEEDED", ("onnx_of_nobody",))
    with pytest.raises(MissingLibraryError, match="onnx_of_nobody.*export"):
        kts.predict("a.mp4", "b", engine="onnxruntime")


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow" or bool(onnx_files.missing()),
    reason="of the other backends",
)
def test_other_backends_do_not_export(clips):
    with pytest.raises(SpecError, match="KERAS_BACKEND=tensorflow"):
        kts.predict("a.mp4", "b", engine="onnxruntime")
    assert Engine("auto", scorer(small_model()), engines.LONG)(clips) is None
