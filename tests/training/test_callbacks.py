"""Callbacks, on whichever backend is in use."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_twostream import training
from keras_twostream.data import video_dataset
from keras_twostream.errors import SpecError
from keras_twostream.inspection import clip_spec

pytestmark = pytest.mark.usefixtures("untraced")


def _tags(folder):
    """Tag -> kinds of what was written for TensorBoard."""
    result = {}
    for path in folder.rglob("events*"):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                result[value.tag] = value.metadata.plugin_data.plugin_name
    return result


def _steps(folder, tag):
    """Return the steps at which a tag was written."""
    (path,) = folder.glob("events*")
    events = (
        tf.compat.v1.Event.FromString(record.numpy())
        for record in tf.data.TFRecordDataset(str(path))
    )
    return [x.step for x in events for y in x.summary.value if y.tag == tag]


def test_tensorboard_shows_inputs_flow_and_confusion(build, items, tmp_path):
    model = build()
    training.compile(model, "actors", steps=2)
    evaluation = training.VideoEvaluation(
        items[::4], num_clips=1, batch_size=4, workers=1, every=2
    )
    images = training.TensorBoardImages(tmp_path, items[:2], evaluation)
    dataset = video_dataset(items, clip_spec(model), 4, workers=1)
    model.fit(dataset, epochs=3, verbose=0, callbacks=[evaluation, images])
    tags = _tags(tmp_path)
    assert _steps(tmp_path, "confusion") == [1]  # the last one is not anew
    assert tags["rgb/0"] == tags["flow/1"] == tags["confusion"] == "images"
    assert tags["video_top1"] == tags["loss"] == "scalars"


def test_tensorboard_goes_on_after_a_bad_video_and_a_broken_off_epoch(
    build, items, tmp_path
):
    missing = tmp_path / "missing.mp4"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    shown = [(str(missing), 0), (str(broken), 0), items[0]]
    images = training.TensorBoardImages(tmp_path, shown)
    images.set_model(build())
    for epoch in range(2):
        images.on_train_begin()
        images.on_epoch_end(epoch, {f"loss{epoch}": 1.0})
        images.on_train_end()
    assert {"rgb/2", "loss0", "loss1"} <= set(_tags(tmp_path))
    assert "rgb/0" not in _tags(tmp_path)


@pytest.mark.agnostic
def test_longer_copy_keeps_weights():
    keras.utils.set_random_seed(0)
    from keras_twostream.models import spatiotemporal_resnet

    model = spatiotemporal_resnet(
        3, depth=18, width=4, clip_length=2, flow_length=2
    )
    longer = training.longer_copy(model, clip_length=4, temporal_pool=2)
    assert clip_spec(longer).clip_length == 4
    for one, other in zip(
        model.get_weights(), longer.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(SpecError, match="shapes of weights"):
        training.longer_copy(model, width=8)


def test_each_row_of_the_log_is_written_and_reported(tmp_path):
    rows = []
    log = training.RunLog(tmp_path / "log.csv", rows.append)
    for epoch, loss in enumerate((0.5, 0.25)):
        log.on_epoch_begin(epoch)
        log.on_epoch_end(epoch, {"loss": loss})
    assert [(row["epoch"], row["loss"]) for row in rows] == [
        (1, 0.5),
        (2, 0.25),
    ]
    written = (tmp_path / "log.csv").read_text().splitlines()
    assert written[0] == "epoch,loss,seconds" and len(written) == 3
