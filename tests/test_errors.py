"""Errors about a value that is no choice, and a name that is no field."""

import pytest

from keras_twostream.errors import (
    SpecError,
    WeightsError,
    check_choice,
    check_fields,
    check_number,
    did_you_mean,
)


def test_a_choice_passes():
    check_choice("depth", 50, {18: 1, 50: 2})
    check_fields("A spec", ["depth"], ["depth", "width"])


@pytest.mark.parametrize(
    ("value", "choices", "message"),
    [
        ("onnx", ("keras", "onnxruntime"), "keras, onnxruntime. .*='onnx'. Di"),
        ("4d", (None, "2d", "3d"), r"one of None, 2d, 3d\. .* mean 3d or 2d"),
        (51, (18, 50), r"`x` must be one of 18, 50\. Received: x=51\.$"),
        (("rgb",), [("flow",)], r"`x` must be \('flow',\)\. Received"),
        (["keras"], ("keras", "auto"), r"Received: x=\['keras'\]\.$"),
    ],
)
def test_a_value_that_is_no_choice_is_refused(value, choices, message):
    with pytest.raises(SpecError, match=message):
        check_choice("x", value, choices)


def test_a_refusal_has_the_asked_class_and_says_what_else_is_allowed():
    with pytest.raises(WeightsError, match="one of a, b, or a function. Rec"):
        check_choice("how", "c", "ab", WeightsError, ", or a function")


def test_a_name_that_is_no_field_is_refused_with_the_closest():
    with pytest.raises(SpecError, match="A recipe has no field 'epoch'. Did"):
        check_fields("A recipe", ["rate", "epoch"], ["rate", "epochs"])


@pytest.mark.parametrize("value", ["fast", float("inf"), True])
def test_what_is_no_number_is_called_so(value):
    with pytest.raises(SpecError, match=f"a finite number. Rec.*={value!r}"):
        check_number("rate", value)
    check_number("rate", 0.5)


def test_what_is_no_name_brings_the_choices():
    assert did_you_mean(3, ["rgb", "flow"]) == " Choices: flow, rgb."
