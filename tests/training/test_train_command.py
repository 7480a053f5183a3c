"""The commands `train`, `evaluate` and `fuse`, on small run folders."""

import dataclasses
import json
import shutil
import tomllib

import av
import click
import filelock
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from foreign_layouts import moving_frames, true_fields, write_layout
from safetensors.numpy import load_file

from keras_twostream import cli, hub, inspection, registry, training
from keras_twostream.cli import (
    _evaluate_run,
    _options,
    _train_checks,
    _train_run,
)
from keras_twostream.cli._evaluate import evaluate_command, fuse_command
from keras_twostream.cli._features import features_command
from keras_twostream.cli._files import model_name
from keras_twostream.cli._settings import assignments, parse_text, parse_value
from keras_twostream.cli._train import train_command
from keras_twostream.data.cutting.cropping import VIEW_CROPS
from keras_twostream.errors import SpecError, TwoStreamError, WeightsError
from keras_twostream.training import VideoScores

pytestmark = pytest.mark.usefixtures("untraced")

BASE = [
    "--model", "tiny_net", "--weights", "none", "--recipe", "actors",
    "--epochs", "1", "--batch-size", "4", "--workers", "1",
    "--spec", "short_side=32", "--spec", "crop=[24, 24]",
    "--spec", "temporal_stride=2", "--spec", "train_strides=[2, 3]",
]  # fmt: skip


def _invoke(command, *arguments):
    result = CliRunner().invoke(command, [str(item) for item in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def run_folder(registered, video_folder, tmp_path):
    out = tmp_path / "run"
    _invoke(train_command, "--data", video_folder, "--out", out, *BASE)
    return out


def test_a_file_of_an_unknown_codec_is_named_and_left_out(
    registered, video_folder, tmp_path
):
    videos = shutil.copytree(video_folder, tmp_path / "videos")
    bad = videos / "slides" / "bad.mp4"
    with av.open(str(bad), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        file.mux(stream.encode(av.VideoFrame(48, 32, "yuv420p")))
        file.mux(stream.encode())
    content = bad.read_bytes().replace(b"avcC", b"zzzC")
    bad.write_bytes(content.replace(b"avc1", b"zzz1"))
    with pytest.warns(UserWarning, match=r"bad\.mp4: its codec zzz1 is not"):
        _invoke(
            train_command, "--data", videos, "--out", tmp_path / "run", *BASE
        )
    assert (tmp_path / "run" / "model").is_dir()


def test_run_folder_evaluates_and_gives_features(
    run_folder, video_folder, tmp_path
):
    model = hub.load(f"local:{run_folder / 'model'}")
    assert inspection.class_names(model) == ["slides", "stands"]
    assert inspection.head_is_trained(model)

    result = _invoke(
        evaluate_command, run_folder, "--data", video_folder,
        "--clips", 2, "--out", tmp_path / "scores", "--json",
    )  # fmt: skip
    report = json.loads(result.stdout)
    assert report["protocol"]["videos"] == 12
    assert set(report["classes"]) == {"slides", "stands"}

    scores = tmp_path / "scores" / "scores.npz"
    fused = _invoke(fuse_command, scores, "--weights", "flow=2", "--json")
    assert set(json.loads(fused.stdout)["accuracy"]) == {
        "rgb",
        "flow",
        "fused",
    }

    features = [
        features_command, run_folder, "--data", video_folder, "--tap",
        "rgb.pool", "--clips", 2, "--out", tmp_path / "features",
    ]  # fmt: skip
    first = _invoke(*features)
    files = list((tmp_path / "features").rglob("*.safetensors"))
    assert len(files) == 12
    assert "12 done" in first.stderr
    assert first.stderr.count("videos/s") < 12  # in a log not for each video
    files[0].unlink()
    again = _invoke(*features)
    assert "1 done, 11 were there already" in again.stderr
    assert files[0].exists()


def test_evaluation_in_bfloat16_rounds_the_scores(
    run_folder, video_folder, tmp_path
):
    scores = {}
    try:
        for precision in ("bfloat16", "float32"):
            result = _invoke(
                evaluate_command, run_folder, "--data", video_folder,
                "--clips", 2, "--precision", precision,
                "--out", tmp_path / precision, "--json",
            )  # fmt: skip
            assert json.loads(result.stdout)["precision"] == precision
            file = tmp_path / precision / "scores.npz"
            scores[precision] = training.load_scores(file).scores["rgb"]
    finally:
        keras.config.set_dtype_policy("float32")
    exact = scores["float32"]
    apart = np.abs(scores["bfloat16"] - exact).max() / np.abs(exact).max()
    assert 0 < apart < 0.05


def test_config_repeats_the_run(run_folder, registered, tmp_path):
    config = tomllib.loads((run_folder / "config.toml").read_text())
    assert config["train"]["spec"]["crop"] == [24, 24]
    assert config["versions"]["keras"]
    result = _invoke(
        train_command, "--config", run_folder / "config.toml",
        "--out", tmp_path / "again", "--epochs", 2,
    )  # fmt: skip
    assert "epoch 2/2" in result.stderr
    again = tomllib.loads((tmp_path / "again" / "config.toml").read_text())
    assert again["recipe"] == config["recipe"]
    assert again["train"] == {**config["train"], "epochs": 2}


def test_the_bound_of_another_tool_s_flow_holds_in_every_command(
    registered, tmp_path
):
    for name in ("a", "b"):
        footage = (moving_frames(), true_fields())
        write_layout("i3d_npy", tmp_path / name, *footage, 10.0)
    data, out = tmp_path / "list.txt", tmp_path / "run"
    data.write_text("a/v_rgb.npy 0\nb/v_rgb.npy 1\n")
    _invoke(
        train_command, "--data", data, "--val", data, "--out", out, *BASE,
        "--input", "bound=10",
    )  # fmt: skip

    def logits(*flags):
        scores = tmp_path / "scores"
        _invoke(evaluate_command, out, "--data", data, "--out", scores, *flags)
        return np.load(scores / "scores.npz")["scores/flow"]

    trained = np.load(out / "evaluation" / "scores.npz")["scores/flow"]
    np.testing.assert_allclose(logits("--bound", 10), trained, atol=1e-5)
    assert np.abs(logits() - trained).max() > 1e-4

    def features(*flags):
        kept = tmp_path / f"features{len(flags)}"
        _invoke(
            features_command, out, "--data", tmp_path / "a" / "v_rgb.npy",
            "--tap", "flow.pool", "--out", kept, *flags,
        )  # fmt: skip
        return load_file(kept / "a" / "v_rgb.safetensors")["flow.pool"]

    assert np.abs(features("--bound", 10) - features()).max() > 1e-4


def test_a_config_that_is_no_toml_is_named(video_folder, tmp_path):
    wrong = tmp_path / "wrong.toml"
    wrong.write_text("epochs 3")
    result = _invoke(train_command, "--data", video_folder, "--config", wrong)
    assert result.exit_code == 2
    assert "wrong.toml is not TOML" in " ".join(result.output.split())


def test_a_config_takes_dashes_and_refuses_what_would_not_count(tmp_path):
    for text, words in (
        ("epochs = 1\n[train]\nbatch-size = 2", "sets 'epochs' above"),
        ("[train]\nbatch-size = 'two'", "'two' is not a valid integer"),
    ):
        (tmp_path / "c.toml").write_text(text)
        result = _invoke(
            train_command, "--data", ".", "--config", tmp_path / "c.toml"
        )
        assert result.exit_code == 2
        assert words in " ".join(result.output.split())


def test_refused_resume_leaves_the_config(run_folder, video_folder):
    before = (run_folder / "config.toml").read_text()
    shutil.rmtree(run_folder / "evaluation")  # else it is complete
    other = shutil.copytree(video_folder, run_folder.parent / "other")
    next(other.rglob("*.mp4")).unlink()
    with pytest.raises(WeightsError, match="other"):
        _invoke(train_command, "--data", other, "--out", run_folder, *BASE)
    assert (run_folder / "config.toml").read_text() == before


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("--model", "no_net"), "no model of that name"),
        (("--recipe", "distillation"), "there is no teacher"),
        (("--data", "damaged"), "videos can be read"),
    ],
)
@pytest.mark.filterwarnings("ignore:Set aside")
def test_a_refused_run_leaves_nothing_and_gives_way_to_a_right_one(
    registered, video_folder, tmp_path, wrong, message, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    damaged = shutil.copytree(video_folder, tmp_path / "damaged")
    for video in damaged.rglob("*.mp4"):
        video.write_bytes(b"no video")
    right = [train_command, "--data", video_folder, "--out", "runs/new", *BASE]
    with pytest.raises((SystemExit, TwoStreamError, click.ClickException)) as e:
        words = map(str, [*right[1:], *wrong])
        train_command([*words], standalone_mode=False)
    assert message in " ".join(str(e.value).split())
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]
    assert _invoke(*right).exit_code == 0


def test_complete_run_is_not_overwritten(run_folder, video_folder):
    result = CliRunner().invoke(
        train_command,
        ["--data", str(video_folder), "--out", str(run_folder), *BASE],
    )
    assert result.exit_code == 2
    assert "is complete" in result.output
    assert "--epochs above its 1" in result.output


def test_a_complete_run_can_be_made_longer(run_folder, video_folder):
    result = _invoke(
        train_command,
        *("--data", video_folder, "--out", run_folder, *BASE),
        *("--epochs", 2),
    )
    assert result.exit_code == 0
    words = " ".join(result.output.split())
    assert "1 of 1 epochs are done, and the run is now to have 2" in words
    assert json.loads((run_folder / "metrics.json").read_text())["epochs"] == 2
    config = tomllib.loads((run_folder / "config.toml").read_text())
    assert config["train"]["epochs"] == 2


def test_a_longer_run_that_is_stopped_is_repeated_at_its_new_length(
    run_folder, video_folder, monkeypatch
):
    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    monkeypatch.setattr(_train_run, "_callbacks", lambda *_: [Stop()])
    result = _invoke(
        *(cli.group, "train", "--data", video_folder, "--out", run_folder),
        *(*BASE, "--epochs", 3),
    )
    assert result.exit_code == 130
    config = tomllib.loads((run_folder / "config.toml").read_text())
    assert config["train"]["epochs"] == 3


def test_two_processes_do_not_train_into_one_folder(
    registered, video_folder, tmp_path
):
    with filelock.FileLock(tmp_path / ".lock"):
        with pytest.raises(WeightsError, match="Another process is training"):
            _invoke(
                train_command, "--data", video_folder, "--out", tmp_path, *BASE
            )
    assert not (tmp_path / "config.toml").exists()


def test_ctrl_c_says_how_to_go_on(
    registered, video_folder, tmp_path, monkeypatch
):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", interrupt)
    result = _invoke(
        cli.group, "train", "--data", video_folder, "--out", tmp_path, *BASE
    )
    assert result.exit_code == 130
    (line,) = [x for x in result.output.splitlines() if "Stopped" in x]
    assert line.startswith("Stopped. The same command goes on from ")


def test_folders_of_runs_are_names_of_models(tmp_path):
    run = tmp_path / "run"
    (run / "model").mkdir(parents=True)
    (run / "checkpoint.npz").touch()
    with pytest.raises(click.UsageError, match="a run that has not ended"):
        model_name(str(run))
    (run / "model" / "config.json").touch()
    for place in (str(run), f"local:{run}", f"local:{run / 'model'}"):
        assert model_name(place) == f"local:{run / 'model'}"
    assert model_name("spatiotemporal_resnet") == "spatiotemporal_resnet"


@pytest.mark.parametrize("place", ["runn", "runn.best"])
def test_a_mistyped_run_is_named_as_a_folder_that_is_not_there(place):
    with pytest.raises(click.UsageError, match=f"no folder {place} of a run"):
        model_name(place)


def test_an_unfinished_run_does_not_hide_the_model_it_is_named_after(
    tmp_path, monkeypatch
):
    (tmp_path / "c3d").mkdir()
    (tmp_path / "c3d" / "checkpoint.npz").touch()
    monkeypatch.chdir(tmp_path)
    assert model_name("c3d") == "c3d"


def test_a_folder_without_a_model_is_said_to_be_none(tmp_path):
    for place in (str(tmp_path), f"local:{tmp_path}"):
        with pytest.raises(click.UsageError, match="neither a run's folder"):
            model_name(place)
    with pytest.raises(click.UsageError, match="no folder .* of a run"):
        model_name(str(tmp_path / "none"))
    assert model_name("hf://someone/net") == "hf://someone/net"


def test_stream_starts_from_another_run(
    run_folder, registered, video_folder, tmp_path
):
    result = _invoke(
        train_command, "--data", video_folder, "--out", tmp_path / "two",
        "--init", f"rgb={run_folder}", *BASE,
    )  # fmt: skip
    assert f"layers from {run_folder}" in result.stderr
    config = json.loads((tmp_path / "two/model/config.json").read_text())
    assert config["base"] == str(run_folder)
    assert config["metrics"][0]["split"].endswith("to choose the epoch")


def test_several_labels_at_once_are_trained_on_logits(
    registered, video_folder, tmp_path
):
    videos = sorted(video_folder.rglob("*.mp4"))
    rows = [f"{path},{i % 2}|2" for i, path in enumerate(videos)]
    listed, recipe = tmp_path / "list.csv", tmp_path / "shares.toml"
    listed.write_text("\n".join(["path,label,split", *rows]))
    recipe.write_text('[spec]\nscore_fusion = "softmax"\n')
    result = _invoke(
        train_command, "--data", listed, "--out", tmp_path / "run", *BASE,
        "--recipe", recipe, "--val-share", "0.25",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert config["clip_spec"]["score_fusion"] == "logits"
    assert config["metrics"][0]["name"] == "mean_average_precision"
    model = hub.load(f"local:{tmp_path / 'run' / 'model'}")
    assert inspection.card(model)["multi_label"]


def test_scores_fused_as_a_paper_does(tmp_path):
    rng, files = np.random.default_rng(0), []
    for stream in ("rgb", "flow"):
        scores = {stream: rng.normal(size=(6, 3))}
        file = tmp_path / f"{stream}.npz"
        VideoScores(list("abcdef"), np.arange(6) % 3, scores).save(file)
        files.append(f"{stream}={file}")

    def accuracy(*flags):
        result = _invoke(fuse_command, *files, *flags, "--json")
        return json.loads(result.stdout)["accuracy"]["fused"]

    by_hand = ["--method", "softmax", "--weights", "flow=2"]
    assert accuracy("--paper", "two_stream_vgg16") == accuracy(*by_hand)


def test_a_network_of_no_paper_does_not_say_how_to_fuse(tmp_path, monkeypatch):
    def bare():
        """A plugin's network, in a module without SPEC."""

    entry = registry.model_entry("two_stream")
    entry = dataclasses.replace(entry, builder=bare)
    monkeypatch.setitem(registry._registered, "bare", entry)
    with pytest.raises(SpecError, match="bare does not say how its paper"):
        _fused(_save(tmp_path / "a.npz", "rgb"), "--paper", "bare")


def _save(file, *streams, names="abc", labels=(0, 1, 2)):
    scores = {stream: np.eye(3) for stream in streams}
    VideoScores(list(names), np.array(labels), scores).save(file)
    return file


def _fused(*arguments):
    return json.loads(_invoke(fuse_command, *arguments, "--json").stdout)


def test_every_stream_of_every_file_is_fused(tmp_path):
    two, one = tmp_path / "two.npz", tmp_path / "a=1.npz"
    _save(two, "rgb", "flow")
    _save(one, "rgb")
    report = _fused(f"A={two}", f"B={two}", f"c-d={one}", "--weights", "c-d=2")
    names = {"A.rgb", "A.flow", "B.rgb", "B.flow", "c-d", "fused"}
    assert set(report["accuracy"]) == names
    assert set(_fused(one)["accuracy"]) == {"rgb", "fused"}
    with pytest.raises(SpecError, match="Give each file a name"):
        _fused(two, one)
    with pytest.raises(SpecError, match="no scores of that name"):
        _fused(f"c-d={one}", two, "--weights", "c_d=2")
    result = CliRunner().invoke(
        fuse_command, [str(two), "--weights", "rgb=much"]
    )
    assert result.exit_code == 2 and "NAME=NUMBER" in result.output


def test_fusing_a_file_again_gives_the_networks_own_accuracy(tmp_path):
    file = tmp_path / "scores.npz"
    streams = {"rgb": np.eye(3), "flow": np.eye(3)[::-1]}
    scores = {**streams, "fused": np.eye(3)[::-1]}
    VideoScores(list("abc"), np.arange(3), scores).save(file)
    own = training.load_scores(file).report()["fused"]
    assert _fused(file)["accuracy"]["fused"] == own
    assert len(_fused(file)["sweep"]) > 1
    other = _fused(file, "--weights", "flow=0")["accuracy"]["fused"]
    assert other["top1"] == 1.0 != own["top1"]
    for weight in ("-1", "inf", "nan"):
        with pytest.raises(SpecError, match="0 or greater"):
            _fused(file, "--weights", f"rgb={weight}")


def test_scores_of_other_videos_are_not_fused(tmp_path):
    files = [tmp_path / f"{number}.npz" for number in range(4)]
    rgb, flow, other, foreign = files
    _save(rgb, "rgb", names=["x/a.mp4", "x/b.mp4", "x/c.v2.mp4"])
    _save(flow, "flow", names=["y/a", "y/b", "y/c.v2"])
    _save(other, "flow", names=["y/a", "y/d", "y/c.v2"])
    _save(foreign, "flow", names="012", labels=(-1, -1, -1))
    assert "sweep" in _fused(rgb, flow) and "sweep" in _fused(rgb, foreign)
    with pytest.raises(SpecError, match="of the same videos"):
        _fused(rgb, other)
    with pytest.raises(SpecError, match="of the same videos"):
        _fused(rgb, "--labels", other)


def test_logits_and_probabilities_are_fused_as_probabilities(tmp_path):
    logits, shares = tmp_path / "a.npz", tmp_path / "b.npz"
    names, labels = list("abc"), np.arange(3)
    VideoScores(names, labels, {"rgb": 5 * np.eye(3)}).save(logits)
    sure = {"flow": np.eye(3)[[1, 0, 2]]}
    VideoScores(names, labels, sure, "softmax").save(shares)
    report = _fused(logits, shares, "--weights", "flow=3")
    assert report["accuracy"]["fused"]["top1"] == pytest.approx(1 / 3)


def test_an_svm_needs_labels_and_no_weights(tmp_path):
    test = _save(tmp_path / "test.npz", "rgb")
    train = _save(tmp_path / "train.npz", "rgb", labels=(0, -1, 2))
    with pytest.raises(SpecError, match="one label for each video"):
        _fused(test, "--svm", train)
    with pytest.raises(SpecError, match="leave out --weights"):
        _fused(test, "--svm", test, "--weights", "rgb=2")


def test_the_crops_to_choose_from_are_those_there_are():
    assert set(_options.CROPS) == set(VIEW_CROPS)


def test_training_videos_are_not_measured_unasked(
    run_folder, video_folder, tmp_path
):
    listed = tmp_path / "list.csv"
    videos = sorted(video_folder.rglob("*.mp4"))
    rows = [
        f"{path},{path.parent.name},{'train' if i % 2 else 'test'}"
        for i, path in enumerate(videos)
    ]
    listed.write_text("\n".join(["path,label,split", *rows]))
    arguments = [str(run_folder), "--data", str(listed), "--clips", "1"]
    with pytest.raises(SpecError, match="with --subset"):
        _invoke(evaluate_command, *arguments)
    chosen = [*arguments, "--subset", "test", "--json"]
    report = json.loads(_invoke(evaluate_command, *chosen).stdout)
    assert report["protocol"]["videos"] == 6


def test_files_without_labels_say_how_to_give_them(tmp_path):
    plain, labelled = tmp_path / "plain.npz", tmp_path / "labelled.npz"
    scores = {"rgb": np.eye(3)}
    VideoScores(list("abc"), np.full(3, -1), scores).save(plain)
    VideoScores(list("abc"), np.arange(3), scores).save(labelled)
    with pytest.raises(SpecError, match="Give --labels FILE"):
        _invoke(fuse_command, plain)
    _invoke(fuse_command, plain, "--labels", labelled)


def test_scores_of_several_labels_are_fused_without_a_sweep(tmp_path):
    file = tmp_path / "scores.npz"
    scores = {"rgb": np.eye(3), "flow": np.eye(3)}
    VideoScores(list("abc"), np.eye(3, dtype=int), scores).save(file)
    report = json.loads(_invoke(fuse_command, file, "--json").stdout)
    fused = report["accuracy"]["fused"]
    assert fused == {"mean_average_precision": 1} and "sweep" not in report


def test_wrong_labels_are_found_before_anything_is_scored(
    build, tmp_path, monkeypatch
):
    data = tmp_path / "list.txt"
    data.write_text("a.mp4 0\nb.mp4 2\n")
    monkeypatch.setattr(_evaluate_run, "load_anything", lambda _, **__: build())
    monkeypatch.setattr(_evaluate_run, "refuse_untrained", lambda _: None)
    with pytest.raises(SpecError, match=r"b\.mp4 has the label 2"):
        _invoke(evaluate_command, "i3d", "--data", data)


def test_the_model_is_kept_when_measuring_fails(
    registered, video_folder, tmp_path, monkeypatch
):
    def fail(*_):
        raise OSError("no space")

    flags = ["--data", video_folder, "--out", tmp_path, *BASE]
    monkeypatch.setattr(training, "train", lambda *_, **__: {})
    monkeypatch.setattr(_train_run, "_measure", fail)
    with pytest.raises(OSError, match="no space"):
        _invoke(train_command, *flags)
    assert (tmp_path / "model" / "config.json").exists()

    report = {"accuracy": {"fused": {"top1": 0.5}}, "videos": 7}
    monkeypatch.setattr(_train_run, "_measure", lambda *_: report)
    done = _invoke(train_command, *flags, "--json")
    assert json.loads(done.stdout)["held_out"] == report
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (row,) = config["metrics"]
    assert (row["name"], row["value"]) == ("top1", 0.5)
    assert "7 videos" in row["protocol"]
    assert "top1" in (tmp_path / "model" / "README.md").read_text()


def test_batch_divides_among_devices(registered, video_folder, tmp_path):
    result = CliRunner().invoke(
        train_command,
        ["--data", str(video_folder), "--out", str(tmp_path / "run"), *BASE,
         "--devices", "3"],
    )  # fmt: skip
    assert result.exit_code == 2
    assert "equal part of a batch" in result.output


@pytest.mark.parametrize(
    "model, weights, recipe",
    [
        ("c3d", "none", "c3d"),
        ("c3d", None, "finetune"),
        ("a_plugins_net", "none", "finetune"),
    ],
)
def test_the_papers_recipe_from_random_weights(model, weights, recipe):
    flags = {"model": model, "weights": weights, "distill": None}
    assert _train_checks._default_recipe(flags) == recipe


def test_a_folder_with_a_date_for_a_name_stays_text():
    init = assignments(["rgb=2026-11-27", 'flow="a"'], "--init", parse_text)
    assert init == {"rgb": "2026-11-27", "flow": "a"}


def test_values_are_read_as_in_toml():
    assert parse_value("[1, 2]") == [1, 2]
    assert parse_value("true") is True
    assert parse_value("conv3d") == "conv3d"
    assert parse_value("none") is None
    for text in ("56,56", "(56, 56)", "[56, 56]"):
        assert parse_value(text) == [56, 56]
    assert parse_value("1.5") == 1.5
    assert assignments(["a-b=1"], "--option") == {"a_b": 1}


def test_assignment_without_equals_sign():
    with pytest.raises(Exception, match="--option takes name=value"):
        assignments(["depth"], "--option")
