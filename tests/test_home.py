"""`~` is the user's home folder wherever a function takes a path."""

from pathlib import Path

import keras
import numpy as np
import pytest
from foreign_layouts import moving_frames, true_fields, write_layout
from small_model import SPEC, small_model

import keras_twostream as kts
from keras_twostream import _files, actors, data, flow, training
from keras_twostream.actors import changes, company
from keras_twostream.data.lists import imports
from keras_twostream.scoring import activations

_SIZE = {"size": (32, 32)}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder, and another one to work in."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield tmp_path / "home"
    assert not list((tmp_path / "work").iterdir())


def test_a_name_that_begins_like_a_home_stays():
    assert _files.expanded("~nobody_is_called_so.mp4") == Path(
        "~nobody_is_called_so.mp4"
    )


def test_drawn_clips(home):
    drawn = actors.generate("~/a", 2, workers=0, progress=False, **_SIZE)
    places = [
        *(path for path, _ in drawn),
        actors.write_clip("~/b/c.mp4", "jump", **_SIZE),
        changes.generate_changes("~/d", 1, **_SIZE),
        company.generate_company("~/e", 1, **_SIZE),
        company.write_company("~/f.mp4", ["drink"], **_SIZE),
    ]
    assert all(path.is_file() and home in path.parents for path in places)


def test_what_is_read_and_what_is_written_of_it(home):
    frames = actors.render("jump", size=(48, 48))[:12]
    imports.write_lossless(home / "videos" / "c.mkv", frames, 25.0)
    model = small_model()
    (prediction,) = kts.predict("~/videos", model)
    places = [
        prediction.save_video("~/drawn.mp4", sheet="~/sheet.png"),
        prediction.save_sheet("~/other.png"),
    ]
    why = kts.explain("~/videos/c.mkv", model, method="occlusion",
                      grid=(1, 1, 1))  # fmt: skip
    places += [why.save_video("~/why.mp4"), why.save_sheet("~/why.png")]
    assert all(place.is_file() and place.parent == home for place in places)


def test_scores_features_and_recipes(home):
    scores = training.VideoScores(["a"], np.array([1]), {"rgb": np.eye(2)[:1]})
    scores.save("~/scores.npz")
    again = training.load_scores("~/scores.npz")
    assert again.scores["rgb"].tolist() == [[1.0, 0.0]]
    training.plot_confusion(np.eye(2), "ab", "~/confusion.png")
    training.plot_curves(
        [{"epoch": 1, "loss": 1.0, "accuracy": 0.5}], "~/c.png"
    )
    assert (home / "confusion.png").is_file() and (home / "c.png").is_file()
    for kind in activations.FILE_FORMATS:
        activations.write_features("~/f", {"t": np.ones((1, 2))}, kind)
        assert activations.has_features("~/f", ["t"], kind)
    recipe = training.load_recipe("finetune")
    _files.write_toml(home / "r.toml", recipe.to_dict())
    assert training.load_recipe("~/r.toml").epochs == recipe.epochs


def test_frames_and_fields_of_other_tools(home):
    root = home / "frames"
    place = write_layout("mmaction2", root, moving_frames(), true_fields())
    place = f"~/{Path(place).relative_to(home)}"
    assert data.clips(place, SPEC)["rgb"].shape[0] == 1
    header = b"PIEH" + np.array([1, 1], "<i4").tobytes()
    (home / "a.flo").write_bytes(header + np.zeros(2, "<f4").tobytes())
    assert flow.read_flo("~/a.flo").shape == (1, 1, 2)


def test_a_run(home):
    for k, name in enumerate(("drink", "wave_hand", "sit_down")):
        actors.write_clip(f"~/v/{k}.mp4", name, size=(48, 48))
    items = [(f"~/v/{k}.mp4", k) for k in range(3)]
    recipe = training.load_recipe("actors").replace(
        options={}, spec={}, epochs=1, batch_size=3
    )
    settings = training.RunSettings(workers=1, patience=None)
    training.train(small_model(), items, recipe, "~/run", settings=settings)
    assert (home / "run" / "metrics.json").is_file()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)
def test_an_export(home):
    exported = kts.export(small_model(), "~/m.tflite")
    assert exported.path == home / "m.tflite"
    assert exported.path.is_file()
