"""Filters of the catalogue, its table in a notebook, and results.csv."""

import csv
import dataclasses
import io

import pytest
from click.testing import CliRunner

import keras_twostream as kts
from keras_twostream.cli._weights import weights_command
from keras_twostream.errors import UnknownNameError
from keras_twostream.pretrained import _catalogue, _select, _table

ROWS = kts.list_weights()


def names(**filters):
    return {spec.name for spec in kts.list_weights(**filters)}


def test_filters_narrow_the_list():
    kinetics = names(data="kinetics400", head_trained=True)
    assert {"i3d.kinetics400", "temporal_segment.kinetics400"} <= kinetics
    assert kinetics == names(data="Kinetics-400", head_trained=True)
    assert not kinetics & names(head_trained=False)
    assert names(streams=["flow"]) >= {"i3d.kinetics400"}
    assert "r2plus1d.kinetics400" not in names(streams=["flow"])
    assert "r2plus1d.kinetics400" in names(streams=["rgb"])
    assert names(license="bsd*") < names() == {spec.name for spec in ROWS}
    assert names() - names(task="recognition") == names(task="detection")
    assert names(task="detection") >= {"action_tubes.actors"}
    assert names(pattern="c3d", data="sports1m") == {"c3d.sports1m"}


def test_a_task_that_is_none_is_named():
    with pytest.raises(UnknownNameError, match="one of recognition, detection"):
        kts.list_weights(task="tracking")


def test_a_notebook_shows_a_table():
    spec = dataclasses.replace(ROWS[0], license="<b>")
    page = _table.WeightTable([spec, *ROWS])._repr_html_()
    assert page.count("<tr>") == len(ROWS) + 2
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "temporal_segment.kinetics400 (default)" in page
    assert "74.6% top-1 accuracy on Kinetics-400 validation" in page
    assert "25 segments" in page  # the protocol
    assert "first download" in page


def test_a_terminal_shows_a_table_too():
    text = repr(_table.WeightTable(ROWS))
    header, *lines = text.splitlines()
    assert header.split() == ["weight", "knows", "streams", "size", "license"]
    assert len(lines) == len(ROWS)
    column = header.index("knows")
    assert all(line[column - 1] == " " for line in lines)
    [i3d] = [line for line in lines if line.startswith("i3d.kinetics400 ")]
    assert "400 actions of Kinetics-400" in i3d and "101.6 MB" in i3d
    assert repr(_table.WeightTable([])) == "No weights."


def test_an_address_that_was_never_seen_is_marked():
    inferred = {spec.name for spec in ROWS if spec.address_inferred}
    assert inferred == {"temporal_segment.bn_inception_kinetics400"}
    page = kts.list_weights("*.bn_inception_kinetics400")._repr_html_()
    assert "its address is inferred and was never seen" in page


def test_results_are_in_step_with_the_rows():
    path = _catalogue.catalogue_folder() / "results.csv"
    written = path.read_text(encoding="utf-8")
    rows = _catalogue.read_rows(_catalogue.catalogue_folder())
    assert written == _table.results_text(rows), (
        "run `keras-twostream weights results --write`"
    )
    printed = CliRunner().invoke(weights_command, ["results"]).stdout
    assert printed == written


def test_each_result_says_who_found_it():
    text = _table.results_text(ROWS)
    results = list(csv.DictReader(io.StringIO(text)))
    assert {row["source"] for row in results} == {"published", "measured"}
    assert all(0 < float(row["value"]) <= 1 for row in results)
    assert all(row["protocol"] and row["dataset"] for row in results)
    ours = {r["weight"] for r in results if r["source"] == "measured"}
    trained = {spec.name for spec in ROWS if spec.origin == "trained"}
    assert ours <= trained
    both = [r for r in results if r["weight"] == "temporal_segment.kinetics400"]
    assert {r["streams"] for r in both} == {"rgb+flow", "rgb", "flow"}


# === What a name means ===


@pytest.mark.parametrize(
    ("architecture", "options", "tag"),
    [
        ("temporal_segment", {}, "kinetics400"),
        ("temporal_segment", {"num_classes": 51}, "kinetics400"),
        (
            "temporal_segment",
            {"backbone": "bn_inception"},
            "bn_inception_kinetics400",
        ),
        ("temporal_segment", {"modality": "rgb_diff"}, "imagenet"),
        ("c3d", {}, "sports1m"),
        ("two_stream_googlenet", {"batch_norm": False}, "bvlc_imagenet"),
        ("i3d", {}, "kinetics400"),
        ("two_stream_vgg16", {}, "imagenet"),
    ],
)
def test_options_choose_among_the_weights(architecture, options, tag):
    spec = _select.resolve(architecture, "default", options)
    assert spec.tag == tag


def test_the_builders_default_backbone_stays():
    entry = kts.registry.model_entry("temporal_segment")
    assert entry.options["backbone"] == "bn_inception"


def test_what_needs_a_flag_is_never_chosen_by_itself():
    unpinned = [spec for spec in ROWS if spec.needs_flag]
    assert {spec.pin for spec in unpinned} <= {"first download", "part of it"}
    assert "spatiotemporal_resnet.ucf101_split1" in {s.name for s in unpinned}
    with pytest.raises(kts.errors.WeightsError, match="No weight of spatio"):
        _select.resolve(
            "spatiotemporal_resnet",
            "default",
            {"stride_in": "1x1", "pool_padding": "end"},
        )


def test_every_spec_builds_the_clip_its_row_states():
    from keras_twostream.spec import ClipSpec

    for spec in ROWS:
        if not spec.folder:
            clip = ClipSpec(streams=spec.streams).replace(**spec.clip_spec)
            assert clip.streams == spec.streams, spec.name
