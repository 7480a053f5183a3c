"""Both pictures of a video and its scores, in one pass over the frames."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np

from keras_twostream import _files
from keras_twostream._read_ahead import ahead
from keras_twostream.data.cutting.kept_flow import Album
from keras_twostream.spec import ClipSpec
from keras_twostream.visual._footage import footage, length_of, rate_of
from keras_twostream.visual._sheet import MOMENTS, contact_sheet
from keras_twostream.visual._story import Story
from keras_twostream.visual._video import annotated_video, video_path

Moment = tuple[float, np.ndarray, np.ndarray]


def draw(
    story: Story,
    source: str | os.PathLike | np.ndarray,
    spec: ClipSpec,
    *,
    video: str | os.PathLike | None = None,
    sheet: str | os.PathLike | None = None,
    progress: Callable[[float, float], None] | None = None,
    album: Album | None = None,
) -> dict[str, Path]:
    """Write the annotated video, the contact sheet, or both.

    Args:
        story: Scores over time.
        source: A video file, or (T, H, W, 3) RGB frames at the spec's rate.
        spec: The clip, with frame rate, size and algorithm of the flow shown.
        video: File for the video, or None.
        sheet: File for the sheet, or None.
        progress: Function called with frames drawn, and frames in all.
        album: Flow of this video that was computed before, see `footage`.

    Returns:
        Paths written, as "video" and "sheet".

    Raises:
        VideoError: If the file cannot be read.
        SpecError: If a picture would take the place of the source.
        MissingLibraryError: If FFmpeg can write no video that browsers play.
    """
    places = [] if video is None else [video_path(video)]
    places += [] if sheet is None else [_files.expanded(sheet)]
    _files.refuse_replacing(places, [source])
    total, kept = length_of(source, spec), []
    chosen = set(np.linspace(0, total - 1, MOMENTS).round().astype(int))

    def watched() -> Iterator[Moment]:
        # A thread reads and colours the next frame while one is drawn.
        with closing(ahead(footage(source, spec, album))) as moments:
            for number, moment in enumerate(moments):
                if number in chosen:
                    kept.append(moment)
                yield moment
                if progress is not None:
                    progress(number + 1, total)

    written = {}
    if video is not None:
        rate = rate_of(source, spec)
        written["video"] = annotated_video(video, story, watched(), rate)
    else:
        for _ in watched():
            pass
    if sheet is not None:
        written["sheet"] = contact_sheet(sheet, story, kept)
    return written
