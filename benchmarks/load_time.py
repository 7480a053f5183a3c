"""Time from the call to a ready model, cold and cached.

    python benchmarks/load_time.py

One ResNet-50 stream from a local Hub, so that the network plays no part:
fetched and converted (cold), from the cache of converted weights (cached),
beside timm's `create_model` from the same file and keras.applications.
"""

import argparse
import dataclasses
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "peers")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_HOME"] = os.environ["KERAS_TWOSTREAM_HOME"] = folder
        os.environ["HF_HUB_DISABLE_XET"] = "1"
        rows = measure(Path(folder), repeat)
    print("| what | seconds |\n|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.2f} |")


def measure(folder: Path, repeat: int) -> dict[str, float]:
    from hub_server import LoopbackHub

    server = LoopbackHub()
    os.environ["HF_ENDPOINT"] = server.endpoint  # before the client's import
    file, commit = publish(server, folder)
    import keras

    import keras_twostream as kts
    from keras_twostream.pretrained import weight_spec

    spec = dataclasses.replace(
        weight_spec("temporal_segment.imagenet"),
        repo_id="timm/peer",
        revision=commit,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )
    kts.load("temporal_segment", weights=None, backbone="resnet50")  # warm up

    def ours():
        kts.load(spec, streams=("rgb",))

    rows = {"keras_twostream, cold": timed(ours, 1)}
    rows["keras_twostream, cached"] = timed(ours, repeat)
    import timm

    rows["timm, from the same file"] = timed(
        lambda: timm.create_model(
            "resnet50",
            pretrained=True,
            pretrained_cfg_overlay={"file": str(file)},
        ),
        repeat,
    )
    saved = folder / "resnet50.weights.h5"
    keras.applications.ResNet50(weights=None).save_weights(saved)
    rows["keras.applications, from disk"] = timed(
        lambda: keras.applications.ResNet50(weights=str(saved)), repeat
    )
    server.close()
    return rows


def publish(server, folder: Path) -> tuple[Path, str]:
    from reference import declare_operators

    declare_operators()
    import safetensors.torch
    import timm

    file = folder / "model.safetensors"
    state = timm.create_model("resnet50").state_dict()
    safetensors.torch.save_file(state, file)
    return file, server.create(
        "timm/peer", {"model.safetensors": file.read_bytes()}
    )


def timed(function, repeat: int) -> float:
    """The best of some runs, in seconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
