"""The six operators of `two_stream_fusion` on the same two trained towers.

As Feichtenhofer et al. (CVPR 2016, section 4.1) compare them: towers that
were trained apart (CNN-M, from random weights), frozen below the fusion at
conv5; what follows is trained for each operator, from random weights. Since
nothing below learns, its maps are computed once per split: a few augmented
views of each training video, and the test views of each test video.
"""

import dataclasses
import time
from pathlib import Path

import keras
import numpy as np

import keras_twostream as kts
from accuracy_parts.lists import read_split
from accuracy_parts.runs import TOWERS, Study
from keras_twostream import training
from keras_twostream.data import cache, clips, video_dataset
from keras_twostream.layers import FUSIONS

SITE = "conv5"
OPTIONS = {
    "backbones": ("cnn_m", "cnn_m"),
    "temporal_pool": None,
    "keep_temporal": False,
    "dropout": 0.5,
}
VIEWS, TEST_VIEWS = 8, 10
EPOCHS, BATCH, RATE = 6, 64, 3e-4


@dataclasses.dataclass(frozen=True)
class Maps:
    """Both towers' maps of the views of a split.

    Attributes:
        train: rgb and flow maps, (views, H, W, C) each.
        labels: (views,) classes of the training views.
        test: The same of the test views, view by view of each video.
    """

    train: list[np.ndarray]
    labels: np.ndarray
    test: list[np.ndarray]


def measure(study: Study, split: int, seed: int) -> None:
    """Trains both towers, then what follows each operator."""
    for system in TOWERS:
        study.measure(system, "random", split, seed)
    wanted = [
        method
        for method in FUSIONS
        if not study.results.has(
            system=f"fusion {method}", init="towers", split=split, seed=seed
        )
    ]
    if not wanted:
        return
    towers = {
        stream: kts.load(
            f"local:{study.run_folder(system, 'random', split, seed) / 'model'}"
        )
        for system, stream in TOWERS.items()
    }
    videos = read_split(study.folder, split)
    maps = _maps(_network("sum", towers), videos, study.cache, seed)
    for method in wanted:
        began, used = time.perf_counter(), time.process_time()
        keras.utils.set_random_seed(seed)
        answers = _answers(_network(method, towers), maps)
        study.results.add(
            answers == videos.test_labels,
            time.perf_counter() - began,
            "python benchmarks/accuracy.py fusion ucf101_six --cache cache",
            processor=time.process_time() - used,
            system=f"fusion {method}",
            init="towers",
            split=split,
            seed=seed,
        )


def _network(method: str, towers: dict[str, keras.Model]) -> keras.Model:
    """The fused network with the towers' weights below the fusion."""
    spec = kts.clip_spec(towers["flow"])
    clip = {
        name: getattr(spec, name)
        for name in ("short_side", "crop", "flow_algorithm", "flow_bound")
    }
    network = kts.load(
        "two_stream_fusion",
        weights=None,
        num_classes=towers["rgb"].output_shape[-1],
        fusion=method,
        fuse_at=SITE,
        flow_length=spec.flow_length,
        clip_spec=clip,
        **OPTIONS,
    )
    for layer in keras.Model(network.inputs, _joined(network)).layers:
        if layer.weights:
            tower = towers[layer.name.partition("_")[0]]
            layer.set_weights(tower.get_layer(layer.name).get_weights())
    return network


def _joined(network: keras.Model) -> list:
    """The maps of both towers that the fusion sees."""
    return [network.get_layer(f"{s}_{SITE}").output for s in TOWERS.values()]


def _maps(network: keras.Model, videos, folder: str, seed: int) -> Maps:
    below = keras.Model(network.inputs, _joined(network))
    spec = kts.clip_spec(network)
    items = list(zip(videos.train, videos.train_labels.tolist(), strict=True))
    batches = video_dataset(
        items,
        spec,
        BATCH,
        training=True,
        seed=seed,
        augment="aspect_jitter",
        colour=0.2,
        drop_remainder=False,
        cache=folder,
    )
    train, labels = [], []
    for _ in range(VIEWS):
        for clip, label in batches:
            train.append(_run(below, clip))
            labels.append(label.numpy())
    test = [
        _run(below, clips(path, spec, TEST_VIEWS))
        for path in _packed(videos.test, folder)
    ]
    return Maps(_stacked(train), np.concatenate(labels), _stacked(test))


def _run(model: keras.Model, clip) -> list[np.ndarray]:
    return [
        keras.ops.convert_to_numpy(maps).astype("float16")
        for maps in model.predict_on_batch(clip)
    ]


def _stacked(parts: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(maps) for maps in zip(*parts, strict=True)]


def _packed(paths: list[str], folder: str) -> list[Path]:
    store = cache.CacheFolder(folder)
    return [store.packed_path(store.find(path)) for path in paths]


def _answers(network: keras.Model, maps: Maps) -> np.ndarray:
    """(videos,) the class that the trained rest of the network names."""
    rest = keras.Model(_joined(network), network.output)
    views = len(maps.labels)
    training.compile(
        rest,
        "finetune",
        steps=EPOCHS * -(-views // BATCH),
        learning_rate=RATE,
    )
    rest.fit(maps.train, maps.labels, BATCH, epochs=EPOCHS, verbose=0)
    scores = [
        rest.predict_on_batch([part[start : start + BATCH * TEST_VIEWS]
                               for part in maps.test])
        for start in range(0, len(maps.test[0]), BATCH * TEST_VIEWS)
    ]  # fmt: skip
    scores = np.concatenate(scores)
    return scores.reshape(-1, TEST_VIEWS, scores.shape[-1]).mean(1).argmax(1)
