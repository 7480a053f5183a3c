"""Lines as a run prints them."""

import itertools
import time

import pytest

from keras_twostream.training._progress import (
    Progress,
    counted,
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
    lines = []
    progress = Progress(2, 3, 4, say=lines.append, verbose=verbose)
    progress.on_epoch_begin(0)
    progress.on_epoch_end(0, LOGS)
    (line,) = lines
    assert line.startswith("epoch 1/4  ")
    assert ("rgb_accuracy 0.2500" in line) == verbose
    assert (every_number(LOGS) in line) == verbose


@pytest.fixture
def lines_at(monkeypatch):
    """Lines of a run of two steps and four epochs, of given seconds."""

    def lines(seconds, **settings):
        clock = itertools.accumulate(seconds)
        monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
        output = []
        progress = Progress(8, 2, 4, say=output.append, **settings)
        for epoch in range(len(seconds) // 4):
            progress.on_epoch_begin(epoch)
            progress.on_train_batch_end(0)
            progress.on_train_batch_end(1)
            progress.on_epoch_end(epoch)
        return output

    return lines


def test_the_step_that_builds_the_graph_does_not_count_as_pace(lines_at):
    first, second, *_ = lines_at([0, 60, 2, 0], every_seconds=1)
    assert first.split() == ["epoch", "1/4", "step", "1/2"]
    assert second.endswith("  4.0 clips/s, 0:12 left")


def test_an_epoch_says_how_long_is_left_unless_it_built_the_graph(lines_at):
    lines = lines_at([0, 60, 2, 0] + [0, 1, 1, 1] * 3, every_seconds=99)
    assert [line.split("  ")[-1] for line in lines] == [
        "1:02", "0:03, 0:06 left", "0:03, 0:03 left", "0:03",
    ]  # fmt: skip


def test_a_long_job_says_how_much_is_done_and_how_long_is_left(monkeypatch):
    clock = itertools.accumulate([0, 5, 15, 5, 15])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    lines = []
    progress = counted("regions of video", lines.append)
    for done in (79, 80, 81, 82):  # those of a run before took no time
        progress(done, 100)
    assert lines == [
        "regions of video 80/100, 0:05 left",
        "regions of video 82/100, 3:00 left",
    ]
