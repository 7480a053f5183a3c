"""Each format runs in its own runtime, or is refused and leaves nothing."""

import errno

import keras
import numpy as np
import pytest
from small_model import SPEC, small_model

import keras_twostream as kts
from keras_twostream import exporting, onnx_files
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    UntrainedHeadError,
)
from keras_twostream.exporting import _artefacts, _checks
from keras_twostream.layers import CeilMaxPooling2D

tensorflow_only = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)

_QUICK = {"scales": 1, "warps": 1, "iterations": 2}
_SUFFIXES = ["", ".tflite", ".onnx"]


def _clips(count=1):
    rng = np.random.default_rng(3)
    return {
        "rgb": rng.uniform(0, 255, (count, 2, 24, 24, 3)).astype("float32"),
        "flow": rng.normal(0, 5, (count, 2, 24, 24, 4)).astype("float32"),
    }


def _need_onnx(suffix):
    if suffix == ".onnx":
        for library in ("onnx", "onnxruntime", "tf2onnx"):
            pytest.importorskip(library)


@tensorflow_only
@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_a_file_gives_what_the_model_gives(tmp_path, suffix):
    _need_onnx(suffix)
    model = small_model()
    exported = kts.export(model, tmp_path / f"m{suffix}")
    assert exported.difference < 1e-4
    assert exported.compared_on == "a drawn actor, seed 0"
    assert exported.outputs["probabilities"] == (None, 3)
    assert exported.milliseconds > 0
    assert [p.name for p in tmp_path.iterdir()] == [f"m{suffix}"]
    scores = _artefacts.runner(exported.path, exported.format)(_clips(3))
    wanted = model.predict_on_batch(_clips(3))
    np.testing.assert_allclose(scores["logits"], wanted, rtol=1e-4, atol=1e-3)
    shares = np.exp(wanted - wanted.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(scores["probabilities"], shares, atol=1e-3)


@tensorflow_only
@pytest.mark.parametrize("suffix", _SUFFIXES)
def test_halves_are_close(tmp_path, suffix):
    _need_onnx(suffix)
    path = tmp_path / f"m{suffix}"
    exported = kts.export(small_model(), path, precision="float16", batch=1)
    assert 0 < exported.difference < 1e-2
    assert exported.inputs["rgb"][0] == 1
    if not suffix:
        import tensorflow as tf

        kinds = {x.dtype for x in tf.saved_model.load(str(path)).trained}
        assert kinds == {tf.float16}
    if suffix == ".onnx":
        onnx = pytest.importorskip("onnx")
        kinds = {x.data_type for x in onnx.load(path).graph.initializer}
        assert onnx.TensorProto.FLOAT16 in kinds


@tensorflow_only
@pytest.mark.parametrize(
    "suffix", [".tflite", pytest.param(".onnx", marks=pytest.mark.full)]
)
def test_flow_is_inside_where_it_is_asked_for(tmp_path, suffix):
    _need_onnx(suffix)
    spec = SPEC.replace(flow_algorithm="tvl1", flow_parameters=_QUICK)
    model = small_model(spec)
    path = tmp_path / f"m{suffix}"
    exported = kts.export(model, path, flow=True, batch=1)
    frames = np.random.default_rng(0).uniform(
        0, 255, (1, spec.span(), 32, 32, 3)
    )
    frames = frames.astype("float32")
    assert list(exported.inputs) == ["frames"]
    run = _artefacts.runner(exported.path, exported.format)
    wanted = kts.with_flow(model).predict_on_batch(frames)
    np.testing.assert_allclose(
        run({"frames": frames})["logits"], wanted, rtol=1e-3, atol=1e-3
    )


@tensorflow_only
def test_int8_is_calibrated_and_agrees(tmp_path):
    videos = [
        np.random.default_rng(seed).integers(
            0, 60 * (seed + 1), (30, 32, 40, 3), dtype="uint8"
        )
        for seed in range(3)
    ]
    exported = kts.export(
        small_model(SPEC.replace(flow_algorithm="farneback")),
        tmp_path / "m.tflite",
        precision="int8",
        calibrate=videos,
        clip=videos[0],
    )
    assert exported.agreement >= 0.95
    assert exported.compared_on == "frames"


@pytest.mark.parametrize("sampling", ["uniform", "whole"])
def test_a_video_of_one_clip_calibrates_too(sampling):
    frames = np.zeros((SPEC.span(), 32, 40, 3), "uint8")
    spec = SPEC.replace(streams=("rgb",), sampling=sampling)
    ranges, tests = _checks.calibration(frames, spec, flow=False)
    assert [len(clips["rgb"]) for clips in ranges + tests] == [1, 1, 1]


def _pooled(pool):
    """A network that pools between two convolutions, and clips for it."""
    keras.utils.set_random_seed(0)
    clip = keras.Input((8, 8, 3), name="rgb")
    x = pool(keras.layers.Conv2D(4, 3, padding="same")(clip))
    logits = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(x))
    network = keras.Model({"rgb": clip}, {"logits": logits})
    rng = np.random.default_rng(0)
    clips = rng.uniform(-1, 1, (8, 1, 8, 8, 3)).astype("float32")
    return network, [{"rgb": clip} for clip in clips]


def _int8(network, clips, path):
    shapes = {"rgb": (1, 8, 8, 3)}
    _artefacts.write(network, shapes, path, "litert", "int8", clips)
    return _artefacts.runner(path, "litert")


@tensorflow_only
def test_the_edge_of_a_pool_takes_no_range_of_int8(tmp_path):
    network, clips = _pooled(CeilMaxPooling2D(3, 2))
    run = _int8(network, clips, tmp_path / "m.tflite")
    wanted = np.concatenate([network(clip)["logits"] for clip in clips])
    scores = np.concatenate([run(clip)["logits"] for clip in clips])
    np.testing.assert_allclose(scores, wanted, atol=0.05 * wanted.max())


@tensorflow_only
def test_a_file_that_kills_its_runtime_is_an_error(tmp_path):
    pytest.importorskip("ai_edge_litert")

    def pool(x):
        ends = [(0, 0), (0, 1), (0, 1), (0, 0)]
        x = keras.ops.pad(x, ends, constant_values=-np.inf)
        return keras.layers.MaxPooling2D(3, 2)(x)

    with pytest.raises(SpecError, match="LiteRT ended with status"):
        _int8(*_pooled(pool), tmp_path / "m.tflite")


@tensorflow_only
def test_wrong_scores_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(_checks.LIMITS, "float16", 1e-9)
    with pytest.raises(SpecError, match="differ by .* float16 is allowed"):
        kts.export(small_model(), tmp_path / "m", precision="float16")
    assert not list(tmp_path.iterdir())


@tensorflow_only
def test_a_file_drops_nothing_out():
    inputs = keras.Input((64,), name="rgb")
    network = keras.Model(inputs, keras.layers.Dropout(0.5)(inputs))
    _, serve = _artefacts._program(network, half=False)
    ones = np.ones((1, 64), "float32")
    np.testing.assert_array_equal(serve(ones), ones)


@tensorflow_only
def test_the_converter_to_onnx_copies_no_weights(tmp_path, monkeypatch):
    _need_onnx(".onnx")
    import tf2onnx

    sizes = []
    convert = tf2onnx.convert.from_function

    def measured(function, input_signature, **options):
        graph = function.get_concrete_function(*input_signature).graph
        sizes.append(graph.as_graph_def().ByteSize())
        return convert(function, input_signature=input_signature, **options)

    monkeypatch.setattr(tf2onnx.convert, "from_function", measured)
    inputs = keras.Input((512,), name="rgb")
    output = keras.layers.Dense(512, name="logits")(inputs)
    network = keras.Model({"rgb": inputs}, {"scores": output})
    onnx_files.write(network, {"rgb": (1, 512)}, tmp_path / "m.onnx")
    weights = 4 * (512 * 512 + 512)
    assert sizes[0] < 20_000 < weights < (tmp_path / "m.onnx").stat().st_size


@tensorflow_only
def test_a_full_disk_is_no_fault_of_the_format(tmp_path, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_artefacts, "_write_litert", fill)
    with pytest.raises(SpecError, match="No space left.* Make room") as caught:
        kts.export(small_model(), tmp_path / "m.tflite")
    assert "another format" not in str(caught.value)


@tensorflow_only
def test_a_failing_converter_leaves_the_old_file(tmp_path, monkeypatch):
    def fail(network, shapes, path, *_):
        path.write_bytes(b"half")
        raise ValueError("no such op\nsecond line")

    (tmp_path / "m.tflite").write_bytes(b"old")
    monkeypatch.setattr(_artefacts, "_write_litert", fail)
    with pytest.raises(SpecError, match="as litert: no such op. Try another"):
        kts.export(small_model(), tmp_path / "m.tflite")
    assert (tmp_path / "m.tflite").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@tensorflow_only
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m.h5", {}, "ends in .tflite"),
        ("m.onnx", {"format": "litert"}, "ends in .tflite"),
        ("m", {"format": "lite"}, "one of saved_model.*'lite'"),
        ("m", {"precision": "int4"}, "one of float32.*'int4'"),
        ("m", {"batch": 0}, "1 or more.*batch=0"),
        ("m", {"batch": "2"}, "a whole number.*batch='2'"),
        ("m.onnx", {"precision": "int8", "calibrate": "v"}, "LiteRT alone"),
        ("m.tflite", {"precision": "int8"}, "int8 needs `calibrate`"),
        ("m.tflite", {"calibrate": "v"}, "no other precision takes it"),
    ],
)
def test_arguments_that_do_not_go_together(tmp_path, name, options, message):
    with pytest.raises(SpecError, match=message):
        kts.export(small_model(), tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


@tensorflow_only
def test_other_folders_are_never_replaced(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(SpecError, match="no saved_model to be replaced"):
        kts.export(small_model(), tmp_path)


@tensorflow_only
def test_models_that_cannot_be_exported_are_refused(tmp_path):
    with pytest.raises(UntrainedHeadError):
        kts.export(small_model(trained=False), tmp_path / "m")
    spec = SPEC.replace(flow_algorithm="tvl1", flow_parameters=_QUICK)
    with pytest.raises(SpecError, match="takes frames.*flow=True"):
        kts.export(kts.with_flow(small_model(spec)), tmp_path / "m")
    two = small_model(heads={"ours": 2, "theirs": 3})
    with pytest.raises(SpecError, match="Choices: ours, theirs"):
        kts.export(two, tmp_path / "m")
    assert not list(tmp_path.iterdir())


@tensorflow_only
def test_libraries_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingLibraryError, match=r"keras-twostream\[export\]"):
        kts.export(small_model(), tmp_path / "m.onnx")


@pytest.mark.agnostic
@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="TensorFlow exports"
)
def test_other_backends_say_which_one_exports(tmp_path):
    with pytest.raises(SpecError, match="KERAS_BACKEND=tensorflow"):
        exporting.export(small_model(), tmp_path / "m")
