"""Drawing of tubes on their video."""

import os
from collections.abc import Sequence
from pathlib import Path

from keras_twostream import _files, data, visual
from keras_twostream.detection.tracks import Tube


def draw_tubes(
    source: str | os.PathLike,
    tubes: Sequence[Tube],
    path: str | os.PathLike,
    classes: Sequence[str],
) -> Path:
    """Write a video with the boxes and labels of its tubes.

    Args:
        source: The video file.
        tubes: Tubes of the video.
        path: Path to write to; the suffix follows FFmpeg's encoder.
        classes: Names of all actions, each of which has its colour.

    Returns:
        The path written.

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If the drawn video would take the source's place.
    """
    _files.refuse_replacing([visual.video_path(path)], [source])

    def marks(number: int) -> list[visual.Mark]:
        marks = []
        for tube in tubes:
            box = tube.box_at(number)
            if box is not None:
                words = f"{tube.label.replace('_', ' ')} {tube.confidence:.1f}"
                colour = list(classes).index(tube.label)
                marks.append(visual.Mark(tuple(box.tolist()), words, colour))
        return marks

    rate = data.probe(source).fps
    return visual.tube_video(path, data.iter_frames(source), marks, rate)
