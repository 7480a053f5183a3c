"""Lines as a run prints them."""

import io

import pytest

from keras_twostream.training._progress import (
    Progress,
    duration,
    every_number,
    main_numbers,
    rate,
)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (59.6, "1:00"), (245, "4:05"), (7445, "2:04:05")],
)
def test_seconds_are_rounded_to_whole_ones(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("clips", "text"), [(12.34, "12.3"), (1.0, "1.0"), (0.0312, "0.031")]
)
def test_a_slow_pace_is_not_nought(clips, text):
    assert rate(clips) == text


LOGS = {
    "flow_accuracy": 0.5,
    "flow_loss": 1.5,
    "fused_accuracy": 0.75,
    "loss": 2.5,
    "rgb_accuracy": 0.25,
    "val_flow_accuracy": 0.4,
    "val_fused_accuracy": 0.625,
    "val_loss": 2.75,
}


def test_a_line_has_the_fused_accuracy_and_the_loss():
    assert main_numbers(LOGS) == (
        "accuracy 0.7500 (validation 0.6250)  loss 2.5000 (validation 2.7500)"
    )


def test_a_line_within_an_epoch_has_no_validation():
    assert main_numbers({"auc": 0.5, "loss": 1}) == "auc 0.5000  loss 1.0000"


def test_a_line_names_the_heads_of_all_data_sets():
    words = main_numbers({"a_accuracy": 1, "b_accuracy": 0, "loss": 1})
    assert words == "a_accuracy 1.0000  b_accuracy 0.0000  loss 1.0000"


@pytest.mark.parametrize("verbose", [False, True])
def test_verbose_lines_have_every_number(verbose):
    output = io.StringIO()
    progress = Progress(2, 3, 4, file=output, verbose=verbose)
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, LOGS)
    assert output.getvalue().startswith("epoch 1/4  ")
    assert ("rgb_accuracy 0.2500" in output.getvalue()) == verbose
    assert (every_number(LOGS) in output.getvalue()) == verbose
