"""Golden logits: every registered model gives the numbers it always gave.

Weights and clips are drawn by NumPy, so the numbers say nothing of training
or of an initialiser, and everything of how a network is wired. They stand in
`golden_logits.json`, one row for each row of `CASES`. A new architecture adds
a row. A change that means to alter a network alters its row in a commit of
its own, which says why; write the rows named, or all, with

    PYTHONPATH=. python tests/models/test_golden.py ["ROW" ...]
"""

import contextlib
import json
import math
import sys
import zlib
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import pytest

import keras_twostream as kts
from keras_twostream.pretrained._variables import variables

FILE = Path(__file__).with_name("golden_logits.json")
CLIPS = 2
CLASSES = 5
# TensorFlow traces a deep network for longer than it runs it here.
EAGER = keras.backend.backend() == "tensorflow"
INITIALIZERS = ("RandomNormal", "RandomUniform", "VarianceScaling")


def at(height, width):
    """Crops that are no squares, so that no two axes can be confused."""
    return {"clip_spec": {"crop": (height, width), "short_side": height}}


SMALL, WIDE = at(32, 64), at(64, 96)
RGB = {"streams": ("rgb",)}
RESNET = {"clip_length": 3, **WIDE}
FUSION = {"backbones": ("cnn_m", "cnn_m"), "clip_length": 2, **at(76, 108)}
# Local response normalisation acts on large values, as Caffe's inputs are;
# its heads one by one, as large logits hide each other in their mean.
CAFFE = {"normalization": "caffe", "outputs": "streams"}
# Residual sums and products grow from block to block.
GAINS = {
    "r2plus1d": 0.7,
    "spatiotemporal_multiplier": 0.5,
    "spatiotemporal_resnet": 0.7,
    "temporal_segment resnet50": 0.7,
}

# Options by row; the row's first word is the model.
CASES = {
    "action_transformation": SMALL,
    "action_transformation separate": {
        "share_towers": False,
        "clip_length": 7,
        **RGB,
        **SMALL,
    },
    "action_tubes": at(67, 99),
    "c3d": SMALL,
    "c3d batch_norm": {"batch_norm": True, **SMALL},
    "c3d small": {"variant": "small", **SMALL},
    "context_fovea": at(74, 98),
    "context_fovea early": {"fusion": "early", **at(74, 98)},
    "context_fovea late": {"fusion": "late", **at(74, 98)},
    "context_fovea slow": {"fusion": "slow", **at(74, 98)},
    "context_fovea multiresolution": {"multiresolution": True, **at(98, 130)},
    "fstcn": at(76, 108),
    "fstcn caffe": {"permutation": True, **CAFFE, **at(76, 108)},
    "fstcn plane": {
        "transformation": "plane",
        "clip_length": 2,
        **at(76, 108),
    },
    "fstcn auxiliary": {"auxiliary": True, **at(76, 108)},
    "i3d": {"clip_length": 16, **WIDE},
    "r2plus1d": {"clip_length": 6, **SMALL},
    "r2plus1d vmz": {
        "clip_length": 6,
        "depth": 34,
        "midplanes": "vmz",
        **SMALL,
    },
    "spatiotemporal_multiplier": RESNET,
    "spatiotemporal_multiplier 18": {"depth": 18, **RESNET},
    "spatiotemporal_resnet": RESNET,
    "spatiotemporal_resnet 18": {
        "depth": 18,
        "temporal_pool": 2,
        **RESNET,
    },
    "temporal_segment": WIDE,
    "temporal_segment resnet50": {
        "backbone": "resnet50",
        "consensus": "max",
        **RGB,
        **WIDE,
    },
    "temporal_segment rgb_diff": {
        "modality": "rgb_diff",
        "consensus": "attention",
        **RGB,
        **WIDE,
    },
    "two_stream": at(75, 107),
    "two_stream caffe": {**CAFFE, **at(75, 107)},
    "two_stream_fusion": SMALL,
    **{
        f"two_stream_fusion {fusion}": {
            "fusion": fusion,
            "temporal_pool": "2d",
            "keep_temporal": False,
            **FUSION,
        }
        for fusion in ("sum", "max", "concat", "conv", "bilinear")
    },
    "two_stream_fusion twice": {
        "backbones": ("vgg16", "cnn_m"),
        "fusion": "conv",
        "fuse_at": ("pool5", "fc8"),
        "clip_length": 3,
        **at(76, 108),
    },
    "two_stream_googlenet": WIDE,
    "two_stream_googlenet caffe": {**CAFFE, **RGB, **WIDE},
    "two_stream_googlenet batch_norm": {"batch_norm": True, **RGB, **WIDE},
    "two_stream_inception_v3": at(107, 139),
    "two_stream_inception_v3 uncounted": {
        "count_padding": False,
        **RGB,
        **at(107, 139),
    },
    "two_stream_vgg16": SMALL,
}


golden = json.loads(FILE.read_text()) if FILE.exists() else {}


def built(row):
    """The row's network, its weights zero: drawing them twice takes long."""

    def zeros(self, shape, dtype=None, **kwargs):
        return keras.ops.zeros(shape, dtype)

    with contextlib.ExitStack() as stack:
        for kind in INITIALIZERS:
            initializer = getattr(keras.initializers, kind)
            stack.enter_context(
                mock.patch.object(initializer, "__call__", zeros)
            )
        builder = getattr(kts.models, row.split()[0])
        return builder(CLASSES, **CASES[row])


def drawn(key, shape, rng, gain):
    """One weight: kernels of He's variance, statistics near 0 and 1."""
    values = rng.random(shape, dtype="float32")
    values = (values - 0.5) * np.float32(math.sqrt(12))
    kind = key.rpartition(".")[2]
    if kind == "moving_variance":
        return np.exp(0.3 * values)
    if kind == "gamma":
        return 1 + 0.1 * values
    if len(shape) < 2:
        return 0.1 * values
    values *= np.float32(gain * math.sqrt(2 / math.prod(shape[:-1])))
    return values


def draw_weights(model, rng, gain):
    """Weights in the order of their keys, whatever the order of layers."""
    for key, variable in sorted(variables(model).items()):
        variable.assign(drawn(key, tuple(variable.shape), rng, gain))


def draw_clip(name, shape, rng):
    """Blocks of eight pixels, another number in each channel."""
    steps, height, width, channels = shape
    coarse = (CLIPS, steps, -(-height // 8), -(-width // 8), channels)
    if name == "rgb":
        blocks = rng.integers(0, 256, coarse).astype("float32")
    else:
        blocks = 40 * (rng.random(coarse, dtype="float32") - 0.5)
    return blocks.repeat(8, 2).repeat(8, 3)[:, :, :height, :width]


def logits(row, change=lambda model: model):
    """Every clip's logits, by output: (CLIPS, CLASSES) each."""
    model = built(row)
    rng = np.random.default_rng(zlib.crc32(row.encode()))
    draw_weights(model, rng, GAINS.get(row, GAINS.get(row.split()[0], 1.0)))
    model = change(model)
    crop = kts.clip_spec(model).crop
    clips = {
        x.name: draw_clip(x.name, (x.shape[1], *crop, x.shape[-1]), rng)
        for x in model.inputs
    }
    model.run_eagerly = EAGER
    scores = model.predict_on_batch(clips)
    if not isinstance(scores, dict):
        scores = {"fused": scores}
    return scores


def _mark(row):
    """Leave variants to .ci/full where each network has to be compiled."""
    return () if EAGER or row in kts.list_models() else pytest.mark.full


@pytest.mark.agnostic
@pytest.mark.parametrize(
    "row", [pytest.param(row, marks=_mark(row)) for row in CASES]
)
def test_the_logits_are_the_golden_ones(row):
    actual, expected = logits(row), golden[row]
    assert set(actual) == set(expected)
    for name, values in expected.items():
        tolerance = 1e-4 * np.abs(values).max()
        np.testing.assert_allclose(
            actual[name], values, rtol=0, atol=tolerance, err_msg=name
        )


def without_norms(model):
    copy = kts.deploy.folded(model)
    result = [type(layer).__name__ for layer in copy.layers]
    assert "BatchNormalization" not in result
    return copy


QUICK = ("c3d batch_norm",)
if EAGER:
    QUICK += ("spatiotemporal_resnet 18", "r2plus1d")


@pytest.mark.agnostic
@pytest.mark.parametrize(
    "row",
    [
        row if row in QUICK else pytest.param(row, marks=pytest.mark.full)
        for row in CASES
    ],
)
def test_folded_networks_have_the_golden_logits(row):
    actual = logits(row, without_norms)
    for name, values in golden[row].items():
        # The golden numbers have been rounded, and are of one machine.
        tolerance = 1e-4 * np.abs(values).max()
        np.testing.assert_allclose(
            actual[name], values, rtol=0, atol=tolerance, err_msg=name
        )


def test_every_model_has_a_row():
    assert {row.split()[0] for row in CASES} == set(kts.list_models())
    assert set(golden) == set(CASES)


@pytest.mark.parametrize("row", CASES)
def test_golden_logits_tell_clips_and_classes_apart(row):
    for values in map(np.array, golden[row].values()):
        least = 1e-3 * np.abs(values).max()
        assert values.shape == (CLIPS, CLASSES)
        assert np.abs(values[0] - values[1]).max() > least
        assert np.ptp(values, axis=1).min() > least


def write(rows):
    """Put the rows' logits into the file, with seven digits each."""
    fresh = {}
    for row in rows:
        fresh[row] = {
            name: [[float(f"{x:.7g}") for x in clip] for clip in values]
            for name, values in logits(row).items()
        }
    rows = {**golden, **fresh}
    lines = [f"{json.dumps(row)}: {json.dumps(rows[row])}" for row in CASES]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    write(sys.argv[1:] or CASES)
