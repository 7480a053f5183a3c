"""Time from the call to a ready model, cold and cached.

    python benchmarks/load_time.py

The same image network at its true size, with generated weights, from a Hub on
this machine, so that the internet plays no part. Cold: nothing is cached, the
file is downloaded, verified and converted. Cached: the second call in a
program. Beside it timm from the same file, and keras.applications from a file
of its own, fetched as it fetches them.
"""

import argparse
import dataclasses
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "peers")]

# Ours, timm's and keras.applications' name of the same network.
NETS = {
    "ResNet-50": ("temporal_segment.imagenet", "resnet50", "ResNet50"),
    "VGG-16": ("two_stream_vgg16.imagenet", "vgg16", "VGG16"),
}
REPO = "timm/peer"

Calls = dict[str, Callable[[], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    print(
        "| network | library | cold: s | of it CPU | cached: s | of it CPU |\n"
        "|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(Path(folder), repeat):
            print(f"| {' | '.join(row)} |", flush=True)


def measure(folder: Path, repeat: int) -> Iterator[list[str]]:
    """Cells of the table, row by row."""
    server = started(folder)
    warm_up()
    for net, names in NETS.items():
        calls, size = published(server, folder, *names)
        for library, call in calls.items():
            forget(folder)
            times = [timed(call) for _ in range(1 + repeat)]
            cells = [*times[0], *min(times[1:])]
            numbers = [f"{seconds:.1f}" for seconds in cells]
            yield [f"{net}, {size / 1e6:.0f} MB", library, *numbers]
        server.repos.clear()
        server.blobs.clear()
    server.close()


def started(folder: Path) -> Any:
    """The Hub, and the environment in which its clients find it."""
    from hub_server import LoopbackHub

    server = LoopbackHub()
    os.environ |= {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(folder / "hub"),
        "KERAS_TWOSTREAM_HOME": str(folder / "ours"),
        "KERAS_HOME": str(folder / "keras"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    return server


def warm_up() -> None:
    """Import and start everything once, whoever comes first."""
    from reference import declare_operators

    declare_operators()
    import keras
    import timm

    import keras_twostream as kts

    keras.config.disable_interactive_logging()
    timm.create_model("resnet18")
    keras.applications.MobileNet(weights=None, input_shape=(32, 32, 3))
    kts.load("spatiotemporal_resnet", weights=None, depth=18)


def published(
    server: Any, folder: Path, ours: str, timms: str, kerass: str
) -> tuple[Calls, int]:
    """Calls that load the net from the Hub, and the size of its file."""
    import keras
    import safetensors.torch
    import timm

    import keras_twostream as kts
    from keras_twostream.pretrained import weight_spec

    tensors = safetensors.torch.save(timm.create_model(timms).state_dict())
    application = getattr(keras.applications, kerass)
    h5 = f"{timms}.weights.h5"
    application(weights=None).save_weights(folder / h5)
    commit = server.create(
        REPO,
        {"model.safetensors": tensors, h5: (folder / h5).read_bytes()},
    )
    (folder / h5).unlink()
    spec = dataclasses.replace(
        weight_spec(ours),
        repo_id=REPO,
        revision=commit,
        sha256=hashlib.sha256(tensors).hexdigest(),
    )
    origin = f"{server.endpoint}/{REPO}/resolve/main/{h5}"
    calls = {
        "keras_twostream": lambda: kts.load(spec, streams=("rgb",)),
        "timm": lambda: timm.create_model(
            timms,
            pretrained=True,
            pretrained_cfg_overlay={"hf_hub_id": REPO},
        ),
        "keras.applications": lambda: application(
            weights=keras.utils.get_file(h5, origin)
        ),
    }
    return calls, len(tensors)


def forget(folder: Path) -> None:
    """Empty every cache."""
    for name in ("hub", "ours", "keras"):
        shutil.rmtree(folder / name, ignore_errors=True)


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock, and of this process's CPU."""
    start, used = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - start, time.process_time() - used


if __name__ == "__main__":
    main()
