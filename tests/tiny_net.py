"""A network small enough to train in seconds, and videos for it."""

import av
import keras
import numpy as np
import pytest

from keras_twostream import registry
from keras_twostream.layers import (
    FoldTime,
    UnfoldTime,
    classifier,
    stream_inputs,
)
from keras_twostream.spec import ClipSpec

SPEC = ClipSpec(
    clip_length=2,
    temporal_stride=3,
    train_strides=(2, 3),
    flow_length=2,
    short_side=32,
    crop=(24, 24),
    flow_algorithm="farneback",
)


def tiny_net(
    num_classes: int = 2,
    *,
    streams=("rgb", "flow"),
    dropout: float = 0.2,
    outputs: str = "fused",
    heads=None,
    classifier_activation=None,
    clip_spec=None,
):
    spec = SPEC.replace(streams=tuple(streams), **(clip_spec or {}))
    inputs, clips = stream_inputs(spec)
    features = {}
    for stream, x in clips.items():
        x = FoldTime(name=f"{stream}_fold")(x)
        x = keras.layers.Conv2D(4, 3, 2, name=f"{stream}_conv1")(x)
        x = keras.layers.BatchNormalization(name=f"{stream}_bn1")(x)
        x = keras.layers.ReLU(name=f"{stream}_relu1")(x)
        x = keras.layers.Conv2D(4, 3, 2, name=f"{stream}_conv2")(x)
        x = keras.layers.BatchNormalization(name=f"{stream}_bn2")(x)
        x = UnfoldTime(spec.clip_length, name=f"{stream}_unfold")(x)
        x = keras.layers.GlobalAveragePooling3D(name=f"{stream}_pool")(x)
        features[stream] = keras.layers.Dropout(
            dropout, name=f"{stream}_dropout"
        )(x)
    scores = classifier(
        features,
        num_classes,
        fusion=spec.score_fusion,
        stream_weights=spec.stream_weights,
        outputs=outputs,
        heads=heads,
        activation=classifier_activation,
    )
    return keras.Model(inputs, scores, name="tiny_net")


# Registered only while a test asks for it: other tests go through all models.
tiny_net = registry.register_model(paper="none")(tiny_net)
ENTRY = registry._registered.pop("tiny_net")


@pytest.fixture
def registered(monkeypatch):
    """The tiny network by name, as `train` and `load` find it."""
    monkeypatch.setitem(registry._registered, "tiny_net", ENTRY)


@pytest.fixture
def build():
    """The tiny network's builder, with a fixed seed."""

    def make(*args, seed=0, **kwargs):
        keras.utils.set_random_seed(seed)
        return tiny_net(*args, **kwargs)

    return make


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory):
    """Twelve videos: textures that slide, and textures that stand."""
    root = tmp_path_factory.mktemp("videos")
    for name, speed in (("slides", 2), ("stands", 0)):
        (root / name).mkdir()
        for number in range(6):
            _write(root / name / f"{number}.mp4", number, speed)
    return root


@pytest.fixture(scope="session")
def items(video_folder):
    """(path, label) of every video."""
    return [
        (str(path), label)
        for label, name in enumerate(("slides", "stands"))
        for path in sorted((video_folder / name).iterdir())
    ]


def _write(path, seed, speed):
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 255, (4, 16, 3)).astype("uint8")
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for t in range(16):
            left = speed * t
            image = np.ascontiguousarray(texture[:, left : left + 48])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
