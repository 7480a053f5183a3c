"""Pictures of a prediction: the annotated video and the contact sheet."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from keras_twostream import data, visual
from keras_twostream.prediction import Prediction
from keras_twostream.spec import FUSED, ClipSpec

MOMENTS = 8  # frames on the contact sheet


def draw(
    prediction: Prediction,
    spec: ClipSpec,
    base: Path,
    *,
    truth: str | None = None,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> dict[str, str]:
    """Write both pictures of a video file's prediction.

    Args:
        prediction: The prediction of a file.
        spec: The clip, with frame rate, size and algorithm of the flow shown.
        base: Path of the files without their endings.
        truth: The true action, where it is known.
        progress: Function called with frames drawn, and frames in all.

    Returns:
        Paths of "video" and "sheet".
    """
    path = prediction.source
    total = data.count_frames(path, spec.frame_rate)
    rate = spec.frame_rate or data.probe(path).fps
    chosen = set(np.linspace(0, total - 1, MOMENTS).round().astype(int))
    kept: list = []

    def watched() -> Iterator:
        for number, moment in enumerate(visual.footage(path, spec)):
            if number in chosen:
                kept.append(moment)
            yield moment
            progress(number + 1, total)

    story = _story(prediction, truth)
    base.parent.mkdir(parents=True, exist_ok=True)
    video = visual.annotated_video(
        base.with_name(f"{base.name}.annotated.mp4"), story, watched(), rate
    )
    sheet = visual.contact_sheet(
        base.with_name(f"{base.name}.sheet.png"), story, kept
    )
    return {"video": str(video), "sheet": str(sheet)}


def _story(prediction: Prediction, truth: str | None) -> visual.Story:
    return visual.Story(
        name=Path(prediction.source).name,
        classes=prediction.classes,
        windows=prediction.windows,
        timelines={
            **prediction.stream_timelines,
            FUSED: prediction.timeline,
        },
        whole=prediction.probabilities,
        subtitle=prediction.model,
        truth=truth,
        states=prediction.states,
    )
