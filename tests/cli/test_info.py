"""`info` and `list`: facts in words and as JSON."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from keras_twostream import cli, hub, pretrained, registry, training
from keras_twostream._printing import scaled
from keras_twostream.cli import _networks, _words
from keras_twostream.errors import UnknownNameError
from keras_twostream.spec import ClipSpec


def run(*arguments):
    return CliRunner().invoke(cli.group, arguments)


@pytest.fixture
def _weight(monkeypatch):
    weight = pretrained.WeightSpec(
        name="spatiotemporal_resnet.tested",
        license="apache-2.0",
        data_terms="ours",
        origin="trained",
        folder="here",
        options={"depth": 18, "width": 4, "num_classes": 2},
        classes=("wave_hand", "sit_down"),
        clip_spec={"crop": [64, 64], "short_side": 64},
        head_trained=True,
        size=1_500_000,
    )
    pretrained.register_weights(weight)
    yield
    from keras_twostream.pretrained import _catalogue

    del _catalogue._registered[weight.name]


def test_a_folder_is_described_by_its_own_weights(tmp_path):
    model = hub.load("spatiotemporal_resnet.actors")
    folder = hub.save_pretrained(model, tmp_path / "mine")
    words = " ".join(run("info", str(folder)).stdout.split())
    assert "unspecified" not in words
    hub.save_pretrained(model, folder, data_terms="ours")
    words = " ".join(run("info", str(folder)).stdout.split())
    assert "data: ours" in words
    assert "spatiotemporal_resnet.local_mine: 17 actions of ours" in words
    assert "imagenet" not in words.partition("weights ")[2]
    [weight] = json.loads(run("info", str(folder), "--json").stdout)["weights"]
    assert weight["name"] == "spatiotemporal_resnet.local_mine"


@pytest.mark.parametrize(
    "words", [["train"], ["evaluate", "run"], ["features", "two_stream"]]
)
def test_data_that_is_not_there_is_named_at_once(words, tmp_path):
    missing = tmp_path / "nowhere"
    result = run(*words, "--data", str(missing), "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    said = "".join(result.stderr.split())
    assert "".join(f"no folder or file {missing}.".split()) in said
    assert not (tmp_path / "out").exists()


def test_facts_that_nobody_stated_are_no_words():
    own = pretrained.WeightSpec(
        name="spatiotemporal_resnet.local_run",
        license="unspecified",
        data_terms="unspecified",
        origin="trained",
        folder="run",
        classes=("a", "b"),
        head_trained=True,
        size=9_900_000,
    )
    assert _words.weight(own) == (
        "2 actions, rgb + flow; no accuracy is stated; "
        "9.9 MB, no licence, pinned"
    )


@pytest.mark.usefixtures("_weight")
def test_info_of_a_weight_tells_what_it_is_and_costs():
    result = run("info", "spatiotemporal_resnet.tested", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["paper"].startswith("Feichtenhofer")
    assert facts["built_with"]["depth"] == 18
    assert facts["classes"] == ["wave_hand", "sit_down"]
    assert facts["clip_spec"]["crop"] == [64, 64]
    assert sum(facts["parameters_by_stream"].values()) == facts["parameters"]
    assert facts["flops"] > 0 and facts["activation_bytes"] > 0
    assert "rgb.res5" in facts["taps"]
    assert facts["weights"][0]["data_terms"] == "ours"


@pytest.mark.usefixtures("_weight")
def test_info_describes_a_network_in_words():
    result = run("info", "spatiotemporal_resnet.tested")
    words = " ".join(result.stdout.split())
    assert "5 steps, 15 apart, at 25 frames a second, 64x64 px" in words
    assert "knows wave hand, sit down" in words
    assert "flow.{conv1, pool1, res2a" in words


def test_info_of_an_unknown_name_offers_close_ones():
    result = run("info", "spatiotemporal_resnot")
    assert result.exit_code == 2
    assert "Did you mean spatiotemporal_resnet" in result.stderr


@pytest.mark.usefixtures("_weight")
def test_list_shows_models_with_their_weights():
    result = run("list", "*_resnet")
    assert "● spatiotemporal_resnet.tested" in result.stdout
    words = " ".join(result.stdout.split())
    assert "2 actions of ours, rgb + flow; no accuracy is stated" in words
    assert "1.5 MB, apache-2.0, pinned" in words
    assert "ST-ResNet: residual connections" in " ".join(result.stdout.split())
    assert "two_stream_vgg16" not in result.stdout


@pytest.mark.usefixtures("_weight")
def test_list_finds_weights_by_their_names_too():
    words = run("list", "*.tested").stdout
    assert "spatiotemporal_resnet.tested" in words
    assert "spatiotemporal_resnet.actors" not in words
    nothing = run("list", "spatiotemporal_resnot")
    assert nothing.exit_code == 2
    assert "Did you mean spatiotemporal_resnet" in nothing.stderr


def test_list_says_where_there_are_no_weights():
    words = " ".join(run("list", "two_stream").stdout.split())
    assert "two-stream network. no public weights; train it anew" in words


# === Kept facts ===

WITHOUT_BACKEND = """
import sys, time
from keras_twostream.cli import group
group(["info", {name!r}, "--json"], standalone_mode=False)
heavy = {{"keras", "tensorflow", "jax", "torch", "cv2", "av"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert time.process_time() < 3, time.process_time()
"""


@pytest.mark.parametrize("name", ["i3d", "i3d.kinetics400"])
def test_info_of_the_catalogue_needs_no_backend(name):
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_BACKEND.format(name=name)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    # The sizes of the data files that the checkpoints of kinetics-i3d index.
    assert facts["weight_bytes"] == 50_818_176 + 50_730_368
    assert facts["clip_spec"]["crop"] == [224, 224]
    [row] = [w for w in facts["weights"] if w["name"] == "i3d.kinetics400"]
    assert row["size"] == 101_570_465
    assert row["accuracy"]["value"] == 0.742
    assert len(facts["classes"] or ()) == (400 if "." in name else 0)


@pytest.mark.parametrize(
    ("name", "published", "apart"),
    [("c3d", 38.5, 0.1), ("two_stream_vgg16", 15.5, 0.05)],
)
def test_a_stream_costs_the_published_billions(name, published, apart):
    kept = _networks._kept()[_networks._key(name)]
    macs = sum(x["macs"] for x in kept["stages"] if x["stream"] == "rgb")
    assert macs / 1e9 == pytest.approx(published, abs=apart)


def test_stages_are_a_table_with_sums():
    words = run("info", "c3d", "--stages").stdout.splitlines()
    row = next(line for line in words if line.strip().startswith("rgb.conv1"))
    assert "16 × 112 × 112 × 64" in row and "1.04 G" in row
    assert words[-1].split() == ["all", "79,991,015", "38.5", "G"]


def test_the_network_is_drawn(tmp_path):
    path = tmp_path / "c3d.svg"
    assert run("info", "c3d", "--figure", str(path)).exit_code == 0
    text = path.read_text("utf-8")
    assert text.startswith("<svg") and "16 × 112 × 112 × 64" in text


def test_kept_facts_are_those_of_a_built_network():
    name = "spatiotemporal_resnet.actors"
    kept = _networks._kept()[_networks._key(name)]
    assert kept == _networks.described(_networks.build(name))


def test_kept_facts_have_the_options_of_today():
    """Those of all networks; others need each of them built."""
    for facts in _networks._kept().values():
        entry = registry.model_entry(facts["architecture"])
        assert facts["options"] == _networks._plain(entry.options)
        assert facts["paper"] == entry.paper


@pytest.mark.full
def test_all_kept_facts_are_those_of_built_networks():
    kept = _networks._kept()
    names = {_networks._key(name): name for name in _networks._names()}
    assert set(kept) <= set(names), "run `keras-twostream weights networks`"
    for key, name in names.items():
        assert kept[key] == _networks.described(_networks.build(name)), name


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(_networks, "_place", lambda: tmp_path / "kept.json")
    monkeypatch.setattr(_networks, "_names", lambda: ["c3d", "i3d"])
    monkeypatch.setattr(_networks, "build", built.append)
    monkeypatch.setattr(
        _networks, "described", lambda _: {"architecture": built[-1]}
    )
    _networks._kept.cache_clear()
    next(run := _networks.keep())
    run.close()
    _networks._kept.cache_clear()
    assert list(_networks.keep()) == ["i3d"]
    assert built == ["c3d", "i3d"]
    assert _networks.facts("c3d") == {"architecture": "c3d"}
    assert list(_networks.keep(anew=True)) == ["c3d", "i3d"]
    _networks._kept.cache_clear()


# === Words ===


def test_a_clip_is_described_in_words():
    spec = ClipSpec(clip_length=1, resize_to=(128, 171), crop=(112, 112))
    assert _words.clip(spec) == (
        "1 step, at 25 frames a second, 112x112 px cut from frames stretched "
        "to 171x128 px; rgb: 1 frame at each step; flow: 10 fields at each "
        "step, DIS, forward, clipped at 20 px; a clip spans 11 frames (0.4 s)."
    )


def test_one_field_of_flow_is_in_the_singular():
    assert "flow: 1 field at each step" in _words.clip(ClipSpec(flow_length=1))


def test_many_classes_are_named_by_a_few():
    words = _words.knows("m", [f"class_{n}" for n in range(400)])
    assert words.startswith("m knows 400 actions: class 0, class 1")
    assert words.endswith("... and 394 more.")


@pytest.mark.parametrize(
    ("number", "words"),
    [(2.48e6, "2.48 MFLOP"), (1e11, "100 GFLOP"), (12, "12 FLOP")],
)
def test_large_numbers_have_three_digits_and_a_prefix(number, words):
    assert scaled(number, "FLOP") == words


@pytest.mark.parametrize("name", ["spatiotemporal_resnet", "two_stream"])
def test_a_recipe_is_printed_as_a_file_that_train_takes(name, tmp_path):
    path = tmp_path / f"{name}.toml"
    path.write_text(run("info", name, "--recipe").stdout)
    assert training.load_recipe(path) == training.load_recipe(name)


def test_the_recipe_of_a_folder_is_that_of_its_architecture(tmp_path):
    model = hub.load("spatiotemporal_resnet.actors")
    folder = hub.save_pretrained(model, tmp_path / "mine")
    wanted = run("info", "spatiotemporal_resnet.actors", "--recipe").stdout
    assert wanted.startswith("name =")
    assert run("info", str(folder), "--recipe").stdout == wanted
    failed = run("info", str(tmp_path), "--recipe")
    assert failed.exit_code == 2 and "neither a run's" in failed.stderr


@pytest.mark.parametrize("name", ["", "local:"])
def test_an_empty_name_is_not_the_folder_at_hand(name, tmp_path, monkeypatch):
    model = hub.load("spatiotemporal_resnet.actors")
    monkeypatch.chdir(hub.save_pretrained(model, tmp_path / "mine"))
    failed = run("info", name)
    assert failed.exit_code == 2 and "name is empty" in failed.stderr
    with pytest.raises(UnknownNameError, match="names nothing"):
        hub.load(name)


def test_a_figure_is_written_as_svg_alone(tmp_path):
    failed = run("info", "c3d", "--figure", str(tmp_path / "net.png"))
    assert failed.exit_code == 2 and "ends in .svg" in failed.stderr
    assert not list(tmp_path.iterdir())


def test_a_recipe_has_no_figure(tmp_path):
    drawn = tmp_path / "net.svg"
    done = run("info", "i3d", "--recipe", "--figure", str(drawn))
    assert done.exit_code == 2 and not drawn.exists()
    assert "--recipe prints the recipe alone" in done.stderr


def test_a_detector_of_drawn_people_sends_to_the_training_of_tubes():
    of_tubes, of_clips = (
        _words.synthetic(pretrained.weight_spec(name))
        for name in ("action_tubes.actors", "spatiotemporal_resnet.actors")
    )
    assert of_tubes.endswith("train --task tubes --help")
    assert of_clips.endswith("train --help")
