"""`train --devices` with 1 and with 2; run by test_devices."""

import json
import sys
from pathlib import Path

import keras

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )

import plain_net  # noqa: F401, registers itself

from keras_twostream.cli import group

data, out = sys.argv[1], Path(sys.argv[2])
found = []
for count in (1, 2):
    failed = group(
        ["train", "--data", data, "--out", str(out / str(count)),
         "--model", "plain_net", "--weights", "none", "--recipe", "finetune",
         "--epochs", "2", "--batch-size", "6", "--workers", "1",
         "--val-share", "0.25", "--devices", str(count)],
        standalone_mode=False,
    )  # fmt: skip
    assert not failed
    metrics = json.loads((out / str(count) / "metrics.json").read_text())
    found.append([metrics["last"][key] for key in ("loss", "val_loss")])
print(json.dumps(found))
