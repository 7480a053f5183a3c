"""The figure of a network: legible, accessible, the same everywhere."""

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest

from keras_twostream.visual import network_figure
from keras_twostream.visual._network import (
    HEIGHT,
    MARGIN,
    WIDTH,
    _layout,
    _way,
    multiply_adds,
)

SVG = "{http://www.w3.org/2000/svg}"


@dataclasses.dataclass
class _Stage:
    name: str
    stream: str
    sources: tuple = ()
    shape: tuple = (5, 7, 7, 64)
    macs: int = 1_230_000_000

    @property
    def key(self):
        return f"{self.stream}.{self.name}" if self.stream else self.name


STAGES = [
    _Stage("input", "flow", shape=(5, 224, 224, 20), macs=0),
    _Stage("input", "rgb", shape=(5, 224, 224, 3), macs=0),
    _Stage("res2", "flow", (("flow.input", ""),)),
    _Stage("res2", "rgb", (("rgb.input", ""), ("flow.res2", "×"))),
    _Stage("a<b", "rgb", (("rgb.res2", ""),)),
    _Stage("c&d", "rgb", (("rgb.res2", ""),)),
    _Stage("scores", "", (("rgb.a<b", ""), ("rgb.c&d", ""), ("flow.res2", ""))),
]


@pytest.fixture
def drawn():
    return ET.fromstring(network_figure(STAGES, "The stages of <it>"))


def test_a_screen_reader_is_told_what_it_shows(drawn):
    assert drawn.get("role") == "img"
    named = drawn.get("aria-labelledby").split()
    title, words = (drawn.find(f"{SVG}*[@id='{name}']") for name in named)
    assert title.text == "The stages of <it>"
    assert "rgb.res2 gives 5 × 7 × 7 × 64" in words.text


def test_every_stage_has_a_box_with_its_words(drawn):
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    for stage in STAGES:
        assert stage.name in texts
    assert texts.count("1.23 G") == 5
    assert "5 × 224 × 224 × 20" in texts
    assert texts.count("×") == 1


def test_boxes_do_not_cover_each_other_and_stay_inside():
    boxes, width, height = _layout(STAGES)
    places = list(boxes.values())
    for x, y in places:
        assert WIDTH / 2 <= x <= width - WIDTH / 2
        assert 0 <= y <= height - HEIGHT
    for number, (x, y) in enumerate(places):
        for other_x, other_y in places[:number]:
            apart = abs(x - other_x) >= WIDTH or abs(y - other_y) >= HEIGHT
            assert apart


def test_streams_stand_abreast_and_meet_at_one_height():
    boxes, _, _ = _layout(STAGES)
    assert boxes["rgb.res2"][0] < boxes["flow.res2"][0]
    assert boxes["rgb.res2"][1] == boxes["flow.res2"][1]
    assert boxes["scores"][1] > boxes["rgb.a<b"][1] == boxes["rgb.c&d"][1]


FUSED_EARLY = [
    _Stage("conv", "flow"),
    _Stage("conv", "rgb"),
    _Stage("fused", "", (("rgb.conv", ""), ("flow.conv", ""))),
    _Stage("pool", "rgb", (("fused", ""),)),
    _Stage("pool", "flow", (("flow.conv", ""),)),
    _Stage("skips", "rgb", (("rgb.pool", ""), ("rgb.conv", ""))),
]


def test_a_stage_in_the_middle_has_its_row_for_itself():
    boxes, _, _ = _layout(FUSED_EARLY)
    tops = [top for _, top in boxes.values()]
    assert tops.count(boxes["fused"][1]) == 1
    assert boxes["flow.pool"][1] == boxes["rgb.pool"][1]


def test_no_arrow_crosses_a_box():
    boxes, _, _ = _layout(FUSED_EARLY)
    places = list(boxes.values())
    start, end = boxes["rgb.conv"], boxes["rgb.skips"]
    beside = _way(start, end, places)
    assert f"H{start[0] + WIDTH / 2 + MARGIN / 2:.1f}V" in beside
    start, end = boxes["flow.conv"], boxes["flow.pool"]
    straight = _way(start, end, places)
    assert straight.startswith(f"M{start[0]:.1f} ") and "V" in straight


def test_both_themes_are_inside_and_nothing_is_fetched():
    text = network_figure(STAGES, "it")
    assert "@media(prefers-color-scheme:dark)" in text
    links = re.sub(r'xmlns="[^"]*"', "", text)
    assert "http" not in links and "<script" not in links


def test_words_fit_into_their_boxes(drawn):
    """A digit of 12 px is at most 7.7 px wide in the fonts it names."""
    for text in drawn.iter(f"{SVG}text"):
        if text.get("class") == "small":
            assert 7.7 * len(text.text) < WIDTH


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, ""), (12, "12"), (4_089_284_608, "4.09 G"), (1500, "1.5 k")],
)
def test_multiply_adds_are_short(count, words):
    assert multiply_adds(count) == words
