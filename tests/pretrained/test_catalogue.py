"""The catalogue: every row, other packages' rows, and how names are found."""

import dataclasses
import importlib
import json
import re
import sys
import tomllib
import types
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_net import logits

import keras_twostream as kts
from keras_twostream import inspection, pretrained, registry
from keras_twostream.cli import _weights
from keras_twostream.cli._weights import weights_command
from keras_twostream.errors import (
    RegistrationError,
    SpecError,
    UnknownNameError,
    WeightsError,
)
from keras_twostream.pretrained import _catalogue, _maintenance, _rows, _select

ROWS = kts.list_weights()
PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(autouse=True)
def _own_registrations(monkeypatch):
    monkeypatch.setattr(_catalogue, "_registered", {})


@pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)
def test_every_row_is_sound_and_has_its_card(spec):
    assert _maintenance.verify_row(spec).problems == ()
    card = _catalogue.catalogue_folder() / spec.name / "README.md"
    text = card.read_text(encoding="utf-8")
    for part in (
        spec.license,
        spec.data_terms,
        registry.model_entry(spec.architecture).paper,
        f'kts.load("{spec.name}"'
        if spec.task == "recognition"
        else f'kts.detect("video.mp4", "{spec.name}")',
    ):
        assert part in text, part
    assert spec.source
    assert spec.note


@pytest.mark.parametrize(
    "spec", [s for s in ROWS if not s.folder], ids=lambda spec: spec.name
)
def test_the_card_of_a_row_says_what_to_expect(spec):
    card = _catalogue.catalogue_folder() / spec.name / "README.md"
    text = card.read_text(encoding="utf-8")
    assert f"# {spec.name}" in text
    assert "## What to expect" in text
    assert ("train it before you predict" in text) != spec.head_trained


def test_each_architecture_has_one_default():
    for name in {spec.architecture for spec in ROWS}:
        defaults = [s for s in ROWS if s.architecture == name and s.default]
        assert len(defaults) <= 1, name


def test_the_default_comes_first():
    first = kts.list_weights("spatiotemporal_resnet")[0]
    assert first.name == "spatiotemporal_resnet.imagenet"
    assert first.provider == "keras_twostream"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "imagenet"),
        ({"depth": 18}, "imagenet_18"),
        ({"depth": 152, "stride_in": "3x3"}, "imagenet_152"),
        ({"num_classes": 51, "flow_length": 5}, "imagenet"),
    ],
)
def test_structural_options_choose_among_weights(options, name):
    from keras_twostream.pretrained import _select

    spec = _select.resolve("spatiotemporal_resnet", "default", options)
    assert spec.tag == name


def test_options_that_no_weight_has_list_those_there_are():
    with pytest.raises(WeightsError) as error:
        kts.load("spatiotemporal_resnet", depth=26, stride_in="3x3")
    assert "imagenet_18: depth=18 (you asked for 26)" in str(error.value)


def test_an_architecture_without_weights_says_so():
    with pytest.raises(WeightsError, match="no published weights.*weights=No"):
        kts.load("fstcn")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("spatiotemporal_resnt", "Did you mean spatiotemporal_resnet"),
        ("spatiotemporal_resnet.imagnet", "Did you mean .*resnet.imagenet"),
        ("fstcn.imagenet", "fstcn has no published weights"),
    ],
)
def test_unknown_names_get_the_nearest(name, text):
    with pytest.raises(UnknownNameError, match=text):
        kts.load(name)


@pytest.mark.parametrize("weights", [3, False, ["imagenet"]])
def test_a_tag_is_text(weights):
    with pytest.raises(WeightsError, match="`weights` is the tag of a weight"):
        kts.load("spatiotemporal_resnet", weights)


def test_a_row_survives_toml(tmp_path):
    for spec in ROWS:
        if spec.folder:
            continue
        path = tmp_path / "weight.toml"
        path.write_text(_rows.row_text(spec), encoding="utf-8")
        assert _catalogue.read_row(path) == spec


def test_a_changed_copy_is_a_new_weight():
    spec = dataclasses.replace(
        ROWS[0], name="tiny.mine", repo_id="me/mine", url="", files=()
    )
    kts.register_weights(spec)
    assert pretrained.weight_spec("tiny.mine").source.startswith("hf://me/mine")
    with pytest.raises(RegistrationError, match=r"tiny.mine.* registered by"):
        kts.register_weights(dataclasses.replace(spec, note="another"))


def test_one_call_registers_a_name_once(monkeypatch):
    monkeypatch.setattr(_catalogue, "_registered", {})
    one = dataclasses.replace(
        ROWS[0], name="tiny.twice", repo_id="me/mine", url="", files=()
    )
    with pytest.raises(RegistrationError, match=r"tiny.twice.* registered by"):
        kts.register_weights(one, dataclasses.replace(one, note="another"))
    assert not _catalogue._registered


BADLY_PINNED = pretrained.WeightFile("a", "https://a/b", git_blob="abc")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "no tag"}, "architecture.tag"),
        ({"license": ""}, "needs `license`"),
        ({"data_terms": ""}, "needs `data_terms`"),
        ({"origin": "found"}, "trained, converted, inflated"),
        ({"sha256": "abc"}, "64 lower-case hex digits"),
        ({"revision": "main"}, "40 lower-case hex digits"),
        ({"filename": "../secret"}, "without '..'"),
        ({"filename": "/etc/passwd"}, "without '..'"),
        ({"repo_id": "", "url": "ftp://a/b"}, "must start with https://"),
        ({"url": "https://a/b"}, "exactly one source"),
        ({"folder": "here"}, "Empty the others: repo_id=''"),
        ({"repo_id": "", "files": (BADLY_PINNED,)}, "`git_blob` of"),
    ],
)
def test_a_wrong_row_is_named(changes, text):
    spec = pretrained.weight_spec("spatiotemporal_resnet.imagenet")
    with pytest.raises(WeightsError, match=re.escape(text)):
        dataclasses.replace(spec, **changes)


# === Plugins ===


def install(folder, monkeypatch, name, entry_points):
    """Put a distribution with these entry points on the path."""
    info = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 0.1.0\n")
    lines = []
    for group, points in entry_points.items():
        lines += [f"[{group}]", *(f"{k} = {v}" for k, v in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()


@pytest.fixture
def shaker(tmp_path, monkeypatch):
    """`examples/plugin`, installed."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    install(tmp_path, monkeypatch, project["name"], project["entry-points"])
    monkeypatch.syspath_prepend(PLUGIN)
    yield
    registry._registered.pop("shaker", None)
    for name in [n for n in sys.modules if n.startswith("keras_twostream_sh")]:
        del sys.modules[name]


def test_the_example_adds_a_model_and_a_weight(shaker, loopback, tmp_path):
    assert "shaker" in kts.list_models()
    [spec] = kts.list_weights("shaker")
    assert spec.provider == "keras-twostream-shaker"
    assert "keras_twostream_shaker.network" not in sys.modules
    model = kts.load("shaker", weights=None, classes=["still", "moving"])
    inspection.update_card(model, head_trained=True)
    kts.push_to_hub(
        model, "me/shaker-demo", license=spec.license, data_terms="none"
    )
    loaded = kts.load("shaker")
    assert inspection.class_names(loaded) == ["still", "moving"]
    assert inspection.head_is_trained(loaded)


def test_a_broken_plugin_is_named_and_harms_nothing(tmp_path, monkeypatch):
    (tmp_path / "broken_plugin.py").write_text("raise OSError('out of luck')")
    install(
        tmp_path,
        monkeypatch,
        "broken-weights",
        {"keras_twostream.weights": {"broken": "broken_plugin:weights"}},
    )
    assert kts.list_weights() == ROWS
    with pytest.raises(UnknownNameError, match=r"out of luck.*broken-weights"):
        pretrained.weight_spec("spatiotemporal_resnet.of_the_plugin")


def test_a_plugin_may_offer_a_folder_of_rows(tmp_path, monkeypatch):
    spec = dataclasses.replace(
        pretrained.weight_spec("c3d.imagenet"), name="c3d.ours", default=False
    )
    _rows.write_row(spec, tmp_path / "rows")
    path = repr(str(tmp_path / "rows"))
    (tmp_path / "folder_plugin.py").write_text(f"weights = {path}\n")
    install(
        tmp_path,
        monkeypatch,
        "folder-of-rows",
        {"keras_twostream.weights": {"rows": "folder_plugin:weights"}},
    )
    result = pretrained.weight_spec("c3d.ours")
    assert result == dataclasses.replace(spec, provider="folder-of-rows")


GREEDY = """
import dataclasses
from keras_twostream.pretrained import _catalogue
rows = list(_catalogue._built_in().values())
own = dataclasses.replace(rows[0], name="c3d.own", default=False)
twice = [dataclasses.replace(own, name="c3d.twice", note=x) for x in "ab"]
weights = [dataclasses.replace(rows[0], note="mine now"), own, *twice]
"""


def test_a_name_that_two_rows_take_is_refused_and_no_other(
    tmp_path, monkeypatch
):
    (tmp_path / "greedy_plugin.py").write_text(GREEDY)
    install(
        tmp_path,
        monkeypatch,
        "greedy",
        {"keras_twostream.weights": {"greedy": "greedy_plugin:weights"}},
    )
    names = {spec.name for spec in kts.list_weights()}
    assert names == {*(spec.name for spec in ROWS), "c3d.own"}
    assert pretrained.weight_spec("c3d.own").provider == "greedy"
    for name in (ROWS[0].name, "c3d.twice"):
        with pytest.raises(RegistrationError, match=f"{name}.*greedy"):
            pretrained.weight_spec(name)


# === The command line ===


def test_verify_names_rows_that_need_a_lock():
    result = CliRunner().invoke(weights_command, ["verify"])
    assert result.exit_code == 0
    assert "c3d.imagenet: fine; `weights lock` would pin revision" in (
        result.output
    )


def test_a_weight_without_a_row_is_not_locked():
    """A row would take the place of the config beside its tensors."""
    name = "spatiotemporal_resnet.actors"
    result = CliRunner().invoke(weights_command, ["lock", name])
    assert isinstance(result.exception, SpecError)
    assert "no weight.toml" in str(result.exception)
    folder = _catalogue.catalogue_folder() / name
    assert not (folder / _catalogue.ROW).exists()


def test_verify_names_all_that_is_wrong():
    check = types.SimpleNamespace(name="a.b", problems=["No.", "Nor this."])
    assert _weights._line(check) == "a.b: No. Nor this."


def test_verify_of_nothing_is_a_mistake():
    with pytest.raises(UnknownNameError, match="No weight matches"):
        CliRunner().invoke(
            weights_command, ["verify", "c3d.imagenets"], catch_exceptions=False
        )


def test_pull_prints_where_the_files_are(served):
    _, commit = served
    result = CliRunner().invoke(
        weights_command, ["pull", f"hf://me/net@{commit}", "--json"]
    )
    assert result.exit_code == 0
    assert "model.safetensors" in result.output


def test_pull_goes_on_after_a_failure_and_names_it(served, tmp_path):
    _, commit = served
    good = f"hf://me/net@{commit}"
    names = [f"local:{tmp_path / 'gone'}", "no_such.tag", good]
    result = CliRunner().invoke(weights_command, ["pull", *names])
    assert result.exit_code == 1
    assert f"{names[0]}: There is no folder" in result.stderr
    assert f"{good}: " in result.stdout
    result = CliRunner().invoke(weights_command, ["pull", *names, "--json"])
    document = json.loads(result.stdout)
    assert [row["name"] for row in document["failed"]] == names[:2]
    assert list(document["files"]) == [good]


def test_lock_pins_the_newest_commit(served):
    _, commit = served
    unpinned = {"revision": "", "sha256": "", "size": 0}
    spec = dataclasses.replace(
        pretrained.weight_spec("c3d.imagenet"), repo_id="me/net", **unpinned
    )
    locked = _maintenance.lock_row(spec)
    assert locked.revision == commit
    assert locked.locked
    assert locked.size > 0


def test_a_folder_is_converted_as_weights_of_a_name_are(tmp_path):
    model = kts.load("spatiotemporal_resnet.actors")
    mine = kts.save_pretrained(model, tmp_path / "mine", license="mit")
    half = str(tmp_path / "half")
    done = CliRunner().invoke(
        weights_command, ["convert", str(mine), half, "--half"]
    )
    assert done.exit_code == 0, done.output
    sizes = [
        (Path(folder) / "model.safetensors").stat().st_size
        for folder in (mine, half)
    ]
    assert sizes[1] < 0.6 * sizes[0]
    assert _select.spec_of_folder(Path(half)).license == "mit"


def test_converted_weights_can_be_pushed(loopback, folder, trained, tmp_path):
    metric = {"name": "accuracy", "value": 0.5, "dataset": "mine"}
    spec = dataclasses.replace(
        _select.spec_of_folder(folder), name="tiny.mine", metrics=(metric,)
    )
    kts.register_weights(spec)
    ours = str(tmp_path / "ours")
    result = CliRunner().invoke(weights_command, ["convert", spec.name, ours])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(
        weights_command,
        ["push", ours, "me/ours", "--json", "--license", "apache-2.0"],
    )
    config = loopback.repos["me/ours"].tree("main")["config.json"]
    assert json.loads(config)["license"] == "apache-2.0"
    assert json.loads(config)["metrics"] == [metric]
    address = json.loads(result.stdout)["address"]
    np.testing.assert_array_equal(logits(kts.load(address)), logits(trained))
