"""A training run of a few steps, killed again and again on its way."""

import json
from pathlib import Path

from campaign_parts import videos
from campaign_parts.activity import Activity

EPOCHS, KILLS = 2, 8


def activity() -> Activity:
    """Return the activity; its run ends as if it had not been killed."""
    return Activity("train", _prepare, _train, _inspect, _result, KILLS)


def _prepare(folder: Path) -> None:
    for number in range(8):
        path = folder / f"videos/{'ab'[number % 2]}/{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = videos.pictures(10 + number)[:, :32, :48]
        videos.write_video(path, frames, preset="ultrafast")


def _train(folder: Path) -> None:
    import keras
    from tiny_net import tiny_net

    from keras_twostream import training

    keras.utils.set_random_seed(0)
    model = tiny_net(2, streams=("rgb",))
    files = sorted((folder / "videos").rglob("*.mp4"))
    items = [(str(path), "ab".index(path.parent.name)) for path in files]
    recipe = training.load_recipe("actors").replace(options={}, batch_size=2)
    settings = training.RunSettings(
        epochs=EPOCHS,
        batch_size=2,
        checkpoint_seconds=0,
        workers=1,
        jit_compile=False,
    )
    training.train(model, items, recipe, folder / "run", settings=settings)


def _inspect(folder: Path) -> str:
    """Read the checkpoint that the killed run left, if it left one."""
    from keras_twostream.training import _checkpoint

    path = folder / "run/checkpoint.npz"
    if not path.exists():
        return "none"
    state, _ = _checkpoint.read_checkpoint(path)
    return f"{state['epoch']}/{state['step']}"


def _result(folder: Path) -> str:
    """Return the last epoch's loss and accuracy, and unfinished files."""
    last = json.loads((folder / "run/metrics.json").read_text())["last"]
    kept = {name: round(last[name], 3) for name in ("loss", "accuracy")}
    left = [p.name for p in (folder / "run").iterdir()]
    parts = [name for name in left if name.endswith(".part")]
    return json.dumps([kept, parts])
