"""Publishing to the Hub, and loading what was published."""

import html
import json
import re

import markdown_it
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_net import CLASSES, logits

import keras_twostream as kts
from keras_twostream import hub
from keras_twostream.errors import SpecError, WeightsError
from keras_twostream.pretrained import _cards

METRIC = {
    "name": "accuracy",
    "value": 0.9,
    "dataset": "UCF-101",
    "split": "1",
    "protocol": "25 clips x 10 crops",
}


def push(model, **changes):
    facts = {"license": "mit", "data_terms": "the test's own", **changes}
    return kts.push_to_hub(model, "me/published", **facts)


def card(server):
    return server.repos["me/published"].tree("main")["README.md"].decode()


def test_what_was_pushed_loads_with_the_same_numbers(loopback, trained):
    address = push(trained)
    assert address.startswith("hf://me/published@")
    np.testing.assert_array_equal(logits(kts.load(address)), logits(trained))


def test_the_card_holds_what_readers_and_the_hub_need(loopback, trained):
    push(trained, metrics=[METRIC], base="timm/resnet50.tv_in1k")
    text = card(loopback)
    for line in (
        "license: mit",
        "library_name: keras-twostream",
        "pipeline_tag: video-classification",
        "base_model: timm/resnet50.tv_in1k",
        "model-index:",
        "| UCF-101 | 1 | accuracy | 0.9 | 25 clips x 10 crops |",
        'model = kts.load("hf://me/published")',
        "Training data: the test's own",
        "Trained with keras_twostream, from timm/resnet50.tv_in1k.",
        f"3: {', '.join(CLASSES)}",
    ):
        assert line in text


def test_the_metadata_is_yaml(loopback, trained):
    from huggingface_hub import ModelCard

    push(trained, metrics=[METRIC], datasets=["me/clips"])
    data = ModelCard(card(loopback)).data
    assert data.license == "mit"
    assert data.datasets == ["me/clips"]
    assert data.eval_results[0].metric_value == 0.9


def test_a_generated_readme_follows_the_next_push(loopback, trained):
    push(trained)
    push(trained, metrics=[METRIC])
    assert "| UCF-101 | 1 | accuracy | 0.9 |" in card(loopback)


def test_the_base_is_found_by_its_name(loopback, trained):
    push(trained, base="two_stream_vgg16.imagenet")
    assert "base_model: timm/vgg16.tv_in1k" in card(loopback)


def test_the_revision_of_a_base_is_no_part_of_its_name(loopback, trained):
    push(trained, base=f"hf://me/base@{'a' * 40}")
    assert "base_model: me/base\n" in card(loopback)


NASTY = [
    "<img src=x>",
    "a|b",
    "*b* [c](d)",
    "# e",
    "- f",
    "1. g",
    "_h_",
    "`i`",
    "__0__",
    "-",
    "1.",
]


@pytest.mark.parametrize("text", NASTY)
def test_text_shows_as_it_is_on_the_card(text):
    shown = _cards._markdown(text)
    page = markdown_it.MarkdownIt("commonmark").enable("table").render(shown)
    assert page.strip() == f"<p>{html.escape(text, quote=False)}</p>"


@given(st.text())
def test_no_text_is_markup_on_the_card(text):
    shown = _cards._markdown(text)
    page = markdown_it.MarkdownIt("commonmark").enable("table").render(shown)
    assert set(re.findall("<[^>]*>", page)) <= {"<p>", "</p>"}


def test_an_existing_readme_stays(loopback, trained):
    loopback.create("me/published", {"README.md": b"mine"})
    push(trained)
    assert card(loopback) == "mine"


def test_a_second_push_adds_a_commit(loopback, trained):
    first = push(trained)
    assert push(trained, note="again") != first
    assert kts.load(first).name == "tiny"


@pytest.mark.parametrize("field", ["license", "data_terms"])
def test_terms_are_required(loopback, trained, field):
    with pytest.raises(WeightsError, match=f"Missing: {field}"):
        push(trained, **{field: ""})
    assert not loopback.repos


def test_a_saved_folder_can_be_pushed(loopback, folder):
    address = kts.push_to_hub(folder, "me/folder")
    files = loopback.repos["me/folder"].tree("main")
    config = json.loads(files["config.json"])
    assert config["sha256"]
    assert kts.load(address).name == "tiny"


def test_home_is_found(trained, tmp_path, monkeypatch, loopback):
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    saved = hub.save_pretrained(trained, "~/net", license="mit")
    assert saved == tmp_path / "net"
    hub.state_metrics("~/net", [{"name": "accuracy", "value": 0.5}])
    kts.push_to_hub("~/net", "me/net", data_terms="none")
    config = json.loads((saved / "config.json").read_text())
    assert config["metrics"] == [{"name": "accuracy", "value": 0.5}]


def test_a_folder_without_terms_is_not_pushed(loopback, trained, tmp_path):
    saved = hub.save_pretrained(trained, tmp_path / "bare")
    with pytest.raises(WeightsError, match="Missing: license, data_terms"):
        kts.push_to_hub(saved, "me/bare")


def test_terms_given_late_reach_config_and_card(loopback, trained, tmp_path):
    saved = hub.save_pretrained(trained, tmp_path / "bare", license="mit")
    kts.push_to_hub(saved, "me/late", data_terms="videos of my own")
    files = loopback.repos["me/late"].tree("main")
    config = json.loads(files["config.json"])
    assert config["license"] == "mit"
    assert config["data_terms"] == "videos of my own"
    terms = b"Weights: mit. Training data: videos of my own"
    assert terms in files["README.md"]


@pytest.mark.parametrize("status", [None, 401])
def test_a_refused_push_leaves_the_folder_as_it_is(
    loopback, trained, tmp_path, status
):
    saved = hub.save_pretrained(trained, tmp_path / "bare")
    before = {x.name: x.read_bytes() for x in saved.iterdir()}
    loopback.status = status
    terms = {"license": "mit", "data_terms": "none" if status else ""}
    with pytest.raises(WeightsError, match="401|Missing: data_terms"):
        kts.push_to_hub(saved, "me/refused", **terms)
    assert {x.name: x.read_bytes() for x in saved.iterdir()} == before


def test_terms_given_late_leave_a_card_of_one_s_own(loopback, folder):
    (folder / "README.md").write_text("mine")
    kts.push_to_hub(folder, "me/late", license="apache-2.0")
    files = loopback.repos["me/late"].tree("main")
    assert json.loads(files["config.json"])["license"] == "apache-2.0"
    assert files["README.md"] == b"mine"


def test_other_facts_of_a_folder_are_its_own(folder):
    with pytest.raises(SpecError, match=r"facts already.*Received: metrics"):
        kts.push_to_hub(folder, "me/folder", metrics=[METRIC])


def test_a_hub_that_refuses_says_how_to_log_in(loopback, trained):
    loopback.status = 401
    with pytest.raises(
        WeightsError, match=r"(?s)did not take me/published.*hf auth"
    ):
        push(trained)


def test_a_wrong_name_is_explained(loopback, trained):
    with pytest.raises(WeightsError, match="named user/name"):
        kts.push_to_hub(trained, "not a name", license="mit", data_terms="none")
