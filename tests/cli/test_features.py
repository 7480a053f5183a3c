"""`features` and `evaluate`, with a small network in place of a loaded one."""

import json
import os
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from cluster import Cluster
from small_model import small_model
from tiny_net import tiny_net

import keras_twostream as kts
from keras_twostream import actors, cli, hub, training
from keras_twostream.cli import _features_run
from keras_twostream.cli._features_run import _targets
from keras_twostream.errors import SpecError
from keras_twostream.scoring import activations


@pytest.fixture
def run(monkeypatch):
    """A command of a model that counts as trained, or does not."""

    def invoke(*arguments, **options):
        model = small_model(**options)
        monkeypatch.setattr(hub, "load", lambda name, **_: model)
        return CliRunner().invoke(cli.group, [str(item) for item in arguments])

    return invoke


def test_features_say_as_json_what_was_done(run, tmp_path):
    videos = tmp_path / "videos" / "wave"
    good = actors.write_clip(videos / "a.mp4", "wave_hand", size=(64, 80))
    bad = videos / "b.mp4"
    bad.write_bytes(b"no video")
    command = ["features", "c3d", "--data", videos.parent, "--tap", "rgb.pool"]
    command += ["--clips", "1", "--out", tmp_path / "out", "--json"]
    first = run(*command)
    assert first.exit_code == 1
    report = json.loads(first.stdout)
    assert report["done"] == [str(good)]
    (failed,) = report["failed"]
    assert failed["source"] == str(bad) and str(bad) in failed["reason"]
    assert Path(f"{report['files'][str(good)]}.safetensors").is_file()
    bad.unlink()
    again = run(*command)
    assert again.exit_code == 0
    assert json.loads(again.stdout)["present"] == 1


def test_without_a_tap_features_are_what_the_classifier_sees(run, tmp_path):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    command = ["features", "c3d", "--data", video, "--clips", "1", "--json"]
    named = ["--tap", "flow.pool", "--tap", "rgb.pool"]
    documents = [
        json.loads(run(*command, *taps, "--out", tmp_path / name).stdout)
        for name, taps in (("default", []), ("named", named))
    ]
    default, other = (
        Path(f"{document['files'][str(video)]}.safetensors").read_bytes()
        for document in documents
    )
    assert default == other


def test_a_cluster_makes_the_same_features(run, tmp_path, monkeypatch):
    videos = tmp_path / "videos" / "wave"
    for seed in range(4):
        path = videos / f"{seed}.mp4"
        actors.write_clip(path, "wave_hand", seed, size=(64, 80))
    command = ["features", "c3d", "--data", videos.parent, "--tap", "rgb.pool"]
    command += ["--clips", "1", "--json"]
    assert run(*command, "--out", tmp_path / "here").exit_code == 0
    cluster = Cluster(dies="2.mp4")
    monkeypatch.setitem(sys.modules, "ray", cluster)
    there = [*command, "--out", tmp_path / "there", "--on", "ray"]
    first = run(*there)
    assert first.exit_code == 1
    (failed,) = json.loads(first.stdout)["failed"]
    assert "2.mp4" in failed["source"] and "out of memory" in failed["reason"]
    cluster.dies = "nothing"
    again = json.loads(run(*there).stdout)
    assert again["present"] == 3 and len(again["done"]) == 1
    for path in sorted((tmp_path / "here").rglob("*.safetensors")):
        other = tmp_path / "there" / path.relative_to(tmp_path / "here")
        assert path.read_bytes() == other.read_bytes()


def test_a_cluster_needs_ray(run, tmp_path, monkeypatch):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ["features", "c3d", "--data", video, "--tap", "rgb.pool"]
    command += ["--out", tmp_path / "out", "--engine", "ray"]
    result = run(*command)
    assert result.exit_code == 2 and "keras-twostream[ray]" in result.stderr


@pytest.mark.parametrize("file_format", ["safetensors", "npy"])
def test_folder_holds_features_made_in_one_way(run, tmp_path, file_format):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    command = ["features", "c3d", "--data", video, "--out", tmp_path / "out"]
    command += ["--file-format", file_format]
    taps = ["--tap", "rgb.pool", "--tap", "flow.pool"]
    assert run(*command, *taps, "--clips", "1").exit_code == 0
    assert run(*command, *taps[2:], *taps[:2], "--clips", "1").exit_code == 0
    for flags, name in (
        ([*taps, "--clips", "2"], "clips"),
        ([*taps, "--clips", "1", "--crops", "3-crop"], "crops"),
        ([*taps[2:], "--clips", "1"], "taps"),
    ):
        refused = run(*command, *flags)
        assert refused.exit_code == 2
        words = " ".join(refused.stderr.split())
        assert f"made with other {name} (see" in words


@pytest.mark.parametrize("command", ["features", "evaluate"])
def test_a_folder_that_cannot_be_is_refused_before_the_work(
    run, tmp_path, command
):
    (tmp_path / "file").write_text("in the way")
    arguments = ["c3d", "--data", tmp_path, "--out", tmp_path / "file" / "out"]
    arguments += ["--tap", "rgb.pool"] if command == "features" else []
    result = run(command, *arguments)
    assert result.exit_code == 2 and "Cannot write into" in result.stderr


def test_features_of_half_precision_are_floats_that_numpy_knows(tmp_path):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_model()
    finally:
        keras.config.set_dtype_policy("float32")
    taps = kts.taps(model, ["rgb.pool"])
    extract = training.FeatureExtractor(taps, kts.clip_spec(model), num_clips=1)
    assert extract(video)["rgb.pool"].dtype == np.float32


def test_features_of_other_weights_are_refused(run, tmp_path):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    command = ["features", "c3d", "--data", video, "--out", tmp_path / "out"]
    command += ["--clips", "1", "--tap", "rgb.fc"]
    assert run(*command).exit_code == 0
    assert "other weights" in run(*command).stderr


def test_averages_of_a_normalisation_are_weights_too():
    inputs = keras.Input((3,))
    normalise = keras.layers.BatchNormalization()
    model = keras.Model(inputs, normalise(inputs))
    before = activations._digest(model)
    normalise.moving_mean.assign([1.0, 2.0, 3.0])
    assert activations._digest(model) != before


def test_file_without_a_tap_is_not_done(tmp_path):
    training.write_features(tmp_path / "a", {"rgb.pool": np.zeros(2)})
    assert training.has_features(tmp_path / "a", ["rgb.pool"], "safetensors")
    taps = ["rgb.pool", "flow.pool"]
    assert not training.has_features(tmp_path / "a", taps, "safetensors")


def test_videos_of_one_name_are_written_apart():
    videos = [f"{folder}/wave/v.mp4" for folder in "abc"]
    videos += ["d/wave/v-2.mp4", "d/wave/v.avi"]
    names = [path.name for path in _targets(videos, Path("out"), {}).values()]
    assert names == ["v", "v-2", "v-3", "v-2-2", "v-4"]


def test_a_video_of_a_later_run_does_not_get_the_features_of_another(
    run, tmp_path
):
    """The folder train/wave has a video of the name that is in test/wave."""
    for split, seed in (("train", 1), ("test", 2)):
        place = tmp_path / split / "wave" / "a.mp4"
        actors.write_clip(place, "wave_hand", seed=seed, size=(64, 80))
    command = ["features", "c3d", "--tap", "rgb.pool", "--clips", "1", "--json"]
    command += ["--out", tmp_path / "out", "--data"]
    reports = [
        json.loads(run(*command, tmp_path / split).stdout)
        for split in ("train", "test", "train", "test")
    ]
    assert [len(report["done"]) for report in reports] == [1, 1, 0, 0]
    assert [report["present"] for report in reports] == [0, 0, 1, 1]
    files = [next(iter(report["files"].values())) for report in reports]
    assert files[0] != files[1] and files[:2] == files[2:]
    first, second = training.video_features(files[:2], ["rgb.pool"])["rgb.pool"]
    assert abs(first - second).max() > 0


@pytest.mark.parametrize(
    "rows", ["path,label\n{},0\n", "path,label,start,end\n{},0,0,1\n"]
)
def test_features_are_made_again_of_a_video_that_has_changed(
    run, tmp_path, rows
):
    """An older file of another size takes the video's name."""
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    other = actors.write_clip(tmp_path / "b.mp4", "jump", size=(64, 80))
    os.utime(other, (1e9, 1e9))
    (tmp_path / "list.csv").write_text(rows.format(video))
    command = ["features", "c3d", "--tap", "rgb.pool", "--clips", "1", "--json"]
    command += ["--out", tmp_path / "out", "--data", tmp_path / "list.csv"]
    npy = [*command, "--file-format", "npy"]
    for arguments in (command, npy):
        assert len(json.loads(run(*arguments).stdout)["done"]) == 1
    os.replace(other, video)
    for arguments in (command, npy):
        again = json.loads(run(*arguments).stdout)
        assert len(again["done"]) == 1 and again["present"] == 0
        assert json.loads(run(*arguments).stdout)["present"] == 1


def test_features_of_an_earlier_version_are_kept(run, tmp_path):
    video = actors.write_clip(tmp_path / "a.mp4", "wave_hand", size=(64, 80))
    out = tmp_path / "out"
    command = ["features", "c3d", "--tap", "rgb.pool", "--clips", "1", "--json"]
    command += ["--out", out, "--data", video]
    run(*command)
    saved = json.loads((out / "features.json").read_text())
    assert saved.pop("videos")
    (out / "features.json").write_text(json.dumps(saved))
    assert json.loads(run(*command).stdout)["present"] == 1
    assert "videos" in json.loads((out / "features.json").read_text())


def test_two_runs_at_once_give_their_videos_apart_names(
    run, tmp_path, monkeypatch
):
    """One claims its names while the other builds its model."""
    for split, seed in (("train", 1), ("test", 2)):
        place = tmp_path / split / "wave" / "a.mp4"
        actors.write_clip(place, "wave_hand", seed=seed, size=(64, 80))
    command = ["features", "c3d", "--tap", "rgb.pool", "--clips", "1", "--json"]
    command += ["--out", tmp_path / "out", "--data"]
    made, reports = _features_run._extractor, []

    def interrupted(settings):
        monkeypatch.setattr(_features_run, "_extractor", made)
        reports.append(json.loads(run(*command, tmp_path / "test").stdout))
        return made(settings)

    monkeypatch.setattr(_features_run, "_extractor", interrupted)
    reports.append(json.loads(run(*command, tmp_path / "train").stdout))
    first, second = (next(iter(x["files"].values())) for x in reports)
    assert first != second and len(reports[1]["done"]) == 1


def test_an_untrained_head_is_not_measured(run, tmp_path):
    (tmp_path / "list.txt").write_text("a.mp4 0\n")
    data = tmp_path / "list.txt"
    result = run("evaluate", "c3d", "--data", data, trained=False)
    assert result.exit_code == 2
    assert "is random, so its answers would mean nothing" in result.stderr


def test_a_measurement_says_what_it_measured_and_where_it_is(run, tmp_path):
    for name in ("jump", "run"):
        actors.write_clip(tmp_path / "set" / name / "a.mp4", "jump")
    data, out = tmp_path / "set", tmp_path / "out"
    command = ["evaluate", "c3d", "--data", data, "--clips", "2", "--out", out]
    heads = {"ucf101": 3, "hmdb51": 2}
    result = run(*command, "--head", "hmdb51", heads=heads)
    assert result.exit_code == 0, result.stderr
    words = " ".join(result.stdout.split())
    assert "2 videos; clips of each: 2; crops of a clip: centre." in words
    assert (out / "confusion.png").is_file()


def test_one_head_of_several_is_measured_on_its_data(run, tmp_path):
    for name in ("jump", "run"):  # classes of hmdb51 alone
        actors.write_clip(tmp_path / name / "a.mp4", "jump", size=(64, 80))
    heads = {"ucf101": 3, "hmdb51": 2}
    command = ["evaluate", "c3d", "--data", tmp_path, "--clips", "1", "--json"]
    result = run(*command, "--head", "hmdb51", heads=heads)
    assert result.exit_code == 0, result.stderr
    assert set(json.loads(result.stdout)["classes"]) == {"jump", "run"}
    result = run(*command, "--head", "hmdb51", heads={**heads, "hmdb51": 1})
    words = " ".join(result.stderr.split())
    assert "label 1: classes are numbered from 0 to 0" in words


@pytest.mark.parametrize(
    "label, message",
    [
        ([0, 1], "one class for each video"),
        ("c", "does not know the classes c"),
    ],
    ids=["several classes", "another class"],
)
def test_an_svm_refuses_its_lists_before_the_work(
    run, tmp_path, label, message
):
    train, test = tmp_path / "train.json", tmp_path / "test.json"
    known = [{"path": "a.mp4", "label": "a"}, {"path": "b.mp4", "label": "b"}]
    train.write_text(json.dumps({"items": known}))
    test.write_text(json.dumps({"items": [{"path": "c.mp4", "label": label}]}))
    command = ["features", "c3d", "--data", train, "--svm", test]
    result = run(*command, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Features" not in result.stderr
    assert not (tmp_path / "out" / "train").exists()


def test_videos_without_classes_have_features(run, tmp_path):
    folder = tmp_path / "videos"
    actors.write_clip(folder / "a.mp4", "wave_hand", size=(64, 80))
    command = ["features", "c3d", "--data", folder, "--clips", "1", "--json"]
    result = run(*command, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["done"] == [str(folder / "a.mp4")]


def test_an_svm_is_trained_on_features_and_measured(
    registered, video_folder, tmp_path
):
    keras.utils.set_random_seed(0)
    model = tiny_net(2, clip_spec={"clip_length": 3, "temporal_stride": 2})
    kts.inspection.update_card(
        model,
        architecture="tiny_net",
        options={"clip_spec": {"clip_length": 3, "temporal_stride": 2}},
        classes=["slides", "stands"],
    )
    kts.save_pretrained(model, tmp_path / "net")
    # Unseen videos of the second class alone, of names that train has too.
    unseen = tmp_path / "unseen" / "stands"
    unseen.mkdir(parents=True)
    for name in ("0.mp4", "1.mp4"):
        (unseen / name).symlink_to(video_folder / "stands" / name)
    result = CliRunner().invoke(
        cli.group,
        [
            "features", str(tmp_path / "net"), "--data", str(video_folder),
            "--svm", str(unseen.parent), "--tap", "flow.pool", "--clips",
            "all", "--step", "2", "--out", str(tmp_path / "features"),
            "--json",
        ],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert len(report["files"]) == 12
    assert report["accuracy"]["svm"]["top1"] == 1.0
    (row,) = {
        array.shape
        for array in training.video_features(
            [report["files"][str(video_folder / "stands" / "0.mp4")]],
            ["flow.pool"],
        ).values()
    }
    assert row == (1, 4)


def test_features_are_not_written_over_what_they_are_made_of(run, tmp_path):
    packed = tmp_path / "wave" / "a.mp4.safetensors"
    packed.parent.mkdir()
    packed.write_bytes(b"frames and flow")
    (tmp_path / "list.csv").write_text("path,label\nwave/a.mp4.safetensors,0\n")
    command = ["features", "c3d", "--data", tmp_path / "list.csv"]
    result = run(*command, "--tap", "rgb.pool", "--out", tmp_path)
    assert result.exit_code == 2
    assert "would be lost" in " ".join(result.stderr.split())
    assert packed.read_bytes() == b"frames and flow"


@pytest.mark.parametrize("flags", [(), ("--detections",)])
def test_a_measurement_does_not_replace_its_list(run, tmp_path, flags):
    given = tmp_path / "metrics.json"
    given.write_text('{"classes": ["a"], "items": []}')
    command = ["evaluate", "c3d", "--data", given, "--out", tmp_path, *flags]
    result = run(*command)
    assert result.exit_code == 2
    assert "would be lost" in " ".join(result.stderr.split())
    assert "items" in given.read_text()


def test_features_of_frames_of_several_sizes_are_no_table(tmp_path):
    for name, side in (("a", 4), ("b", 5)):
        maps = {"rgb.res5": np.zeros((2, 3, side, 5), "float32")}
        training.write_features(tmp_path / name, maps)
    both = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(SpecError, match=r"60 numbers in .*a, and 75 in .*b"):
        training.video_features(both, ["rgb.res5"])
    with pytest.raises(SpecError, match="`batch_size` must be a whole"):
        training.FeatureExtractor(tiny_net(), kts.ClipSpec(), batch_size=0)
    with pytest.raises(SpecError, match="`targets` is empty"):
        training.video_features([], ["rgb.res5"])
