"""Commands about a model with a head for each of several data sets."""

import json
import shutil

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from tiny_net import ENTRY, tiny_net

import keras_twostream as kts
from keras_twostream import cli, inspection, registry, training, web
from keras_twostream.errors import SpecError, UnknownNameError
from keras_twostream.scoring.heads import one_head

CLASSES = {"motion": ["slides", "stands"], "number": ["one", "two", "three"]}
EXPORTS = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="models are exported on the TensorFlow backend",
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The folder of a network whose heads know their classes."""
    model = tiny_net(heads={head: len(x) for head, x in CLASSES.items()})
    inspection.update_card(model, head_classes=CLASSES, head_trained=True)
    place = tmp_path_factory.mktemp("heads") / "net"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry._registered, "tiny_net", ENTRY)
        yield kts.save_pretrained(model, place)


@pytest.fixture
def video(video_folder, tmp_path):
    place = tmp_path / "videos" / "slides" / "a.mp4"
    place.parent.mkdir(parents=True)
    return shutil.copy(video_folder / "slides" / "0.mp4", place)


def run(*words):
    return CliRunner().invoke(cli.group, list(map(str, words)))


def commands(saved, video, out):
    """Every command that asks one head, without the head."""
    place = f"local:{saved}"
    return {
        "predict": [video, "--model", place, "--no-video", "--json"],
        "explain": [video, "--model", place, "--no-video", "--out", out],
        "live": [video, "--model", place, "--pace", 0, "--json"],
        "export": [place, out / "net"],
        "evaluate": [place, "--data", video.parents[1], "--clips", 1, "--json"],
    }


@pytest.mark.parametrize(
    "command",
    [
        "predict",
        "explain",
        "live",
        "evaluate",
        pytest.param("export", marks=EXPORTS),
    ],
)
def test_a_head_has_to_be_one_of_the_model(command, saved, video, tmp_path):
    words = commands(saved, video, tmp_path / "out")[command]
    for head, message in (
        ([], "Choices: motion, number"),
        (["--head", "numbr"], "no head 'numbr'. Did you mean number"),
    ):
        result = run(command, *words, *head)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())


def test_a_head_answers_in_its_own_classes(saved, video, tmp_path):
    words = commands(saved, video, tmp_path / "out")

    def said(command):
        result = run(command, *words[command], "--head", "number")
        assert result.exit_code == 0, result.output
        return result.stdout

    document = json.loads(said("predict"))
    expected = kts.predict(video, f"local:{saved}", head="number")
    (answer,) = document["files"]
    assert document["classes"] == CLASSES["number"]
    assert [x["action"] for x in answer["top"]] == [
        name for name, _ in expected.top()
    ]
    line = json.loads(said("live").splitlines()[0])
    assert {x["action"] for x in line["top"]} == set(CLASSES["number"])
    assert any(name in said("explain") for name in CLASSES["number"])


def test_an_action_of_another_head_is_not_explained(saved, video):
    why = kts.explain(
        video, f"local:{saved}", head="motion", label="stands",
        method="occlusion", grid=(1, 1, 1),
    )  # fmt: skip
    assert why.label == "stands"
    with pytest.raises(UnknownNameError, match="no action 'stands'.*one"):
        kts.explain(video, f"local:{saved}", head="number", label="stands")


@EXPORTS
def test_a_file_gives_the_scores_of_its_head(saved, video, tmp_path):
    model = kts.load(f"local:{saved}")
    done = kts.export(model, tmp_path / "net", head="number", batch=1)
    assert done.outputs["logits"] == (1, 3)
    result = run("export", f"local:{saved}", tmp_path / "other",
                 "--head", "motion", "--batch", 1, "--json")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["outputs"]["logits"] == [1, 2]


def test_answers_of_another_head_are_not_kept_ones(saved, video, tmp_path):
    words = commands(saved, video, tmp_path)["predict"]
    words += ["--out", tmp_path / "out", "--resume"]
    found = [
        json.loads(run("predict", *words, "--head", head).stdout)["files"][0]
        for head in CLASSES
    ]
    for answer, classes in zip(found, CLASSES.values(), strict=True):
        assert {x["action"] for x in answer["top"]} == set(classes)


def test_info_lists_the_classes_of_every_head(saved, tmp_path):
    facts = json.loads(run("info", saved, "--json").stdout)
    assert facts["head_classes"] == CLASSES
    assert facts["weights"][0]["classes"] == 5
    words = " ".join(run("info", saved).stdout.split())
    assert "knows motion: slides, stands number: one, two, three" in words
    nameless = tiny_net(heads={"motion": 2, "number": 3})
    inspection.update_card(nameless, classes=["a", "b"], head_trained=True)
    folder = kts.save_pretrained(nameless, tmp_path / "nameless")
    facts = json.loads(run("info", folder, "--json").stdout)
    expected = {"motion": ["a", "b"], "number": ["0", "1", "2"]}
    assert facts["head_classes"] == expected
    again = kts.load(f"local:{folder}")
    for head, names in expected.items():
        assert inspection.class_names(one_head(again, head)) == names


def test_the_page_asks_the_head_that_it_was_given(saved, tmp_path):
    name = f"local:{saved}"
    with pytest.raises(SpecError, match="Choices: motion, number"):
        web.Desk([name], tmp_path)
    with pytest.raises(UnknownNameError, match="no head 'x'"):
        web.Desk([name], tmp_path, head="x")
    model = web.Desk([name], tmp_path, head="number").model(name)
    assert inspection.class_names(model) == CLASSES["number"]


def test_the_card_shows_how_a_head_is_asked(saved):
    text = (saved / "README.md").read_text("utf-8")
    assert 'kts.predict("video.mp4", model, head="motion")' in text


def test_a_part_goes_on_with_the_training_of_its_model(saved, video):
    model = kts.load(f"local:{saved}")
    options = {"num_clips": 1, "workers": 1, "head": "number"}
    evaluator = training.VideoEvaluator([(str(video), 0)], **options)
    before = evaluator(model).scores["fused"]
    kernel = model.get_layer("rgb_fc_number").kernel
    kernel.assign(kernel + 1.0)
    assert not np.allclose(before, evaluator(model).scores["fused"])
