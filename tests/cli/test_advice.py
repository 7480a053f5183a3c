"""Advice of the library reaches users of a command as its flags."""

import click
import pytest

from keras_twostream import cli
from keras_twostream.cli._advice import in_flags

TRANSLATED = [
    (
        "train",
        (
            "The student takes clips with flow_bound=20, and the teacher with "
            "flow_bound=10. Build it with clip_spec={'flow_bound': 10}."
        ),
        (
            "The student takes clips with flow_bound=20, and the teacher with "
            "flow_bound=10. Build it with --spec flow_bound=10."
        ),
    ),
    (
        "train",
        (
            "It searches. Build it with every_boundary=True, or set "
            "boundaries_every=0."
        ),
        (
            "It searches. Build it with --option every_boundary=true, or use "
            "--set boundaries_every=0."
        ),
    ),
    (
        "train",
        "Set distill.scores=0. Received: distill.scores=1",
        "Use --set distill.scores=0. Received: distill.scores=1",
    ),
    (
        "train",
        "Build it of one stream: streams=('rgb',).",
        "Build it of one stream: --streams rgb.",
    ),
    (
        "train",
        "Give the clip one, such as frame_rate=25.",
        "Give the clip one, such as --spec frame_rate=25.",
    ),
    ("train", "Change `frozen`.", "Change `--set frozen`."),
    ("train", "pass subset= with one", "pass --subset with one"),
    ("train", "Write load('i3d', weights=...).", "Write --model i3d."),
    ("predict", "Choose engine='keras'.", "Choose --engine keras."),
    ("extract", "Use algorithm='tvl1'.", "Use --flow tvl1."),
    ("export", "Try a fixed batch, batch=1.", "Try a fixed batch, --batch 1."),
    ("evaluate", "or leave `cache` out", "or leave `--cache` out"),
    (
        "evaluate",
        "Look with keras_twostream.list_weights('i3d').",
        "Look with `keras-twostream list`.",
    ),
]
KEPT = [
    ("train", "`batch_size` must be 1 or more. Received: batch_size=0"),
    ("train", "use weights=None (`--weights none`) for random weights."),
    ("predict", "score one of them: use evaluate_videos(head=...)."),
    ("live", "or set a longer `step`"),
    ("train", "Give /data/split=1/list.csv a header."),
    ("train", "Choose another video than 'seed=3.mp4'."),
    ("evaluate", "Build it with clip_spec={'crop': (8, 8)}."),
    ("list", "Build it with clip_spec={'crop': (8, 8)}."),
]


def command(name):
    return cli.group.get_command(click.Context(cli.group), name)


@pytest.mark.parametrize(("name", "said", "expected"), TRANSLATED)
def test_advice_names_the_flags_of_the_command(name, said, expected):
    assert in_flags(said, command(name)) == expected


@pytest.mark.parametrize(("name", "said"), KEPT)
def test_facts_and_arguments_without_a_flag_stay(name, said):
    assert in_flags(said, command(name)) == said
