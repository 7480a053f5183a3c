"""Pictures of a stream: its newest frame, and its latest answers."""

import collections
import dataclasses

import numpy as np

from keras_twostream.flow._colour import fast_speed
from keras_twostream.visual._footage import calmed, colours
from keras_twostream.visual._story import Story
from keras_twostream.visual._video import Stage

_REMEMBERED = 20.0  # seconds on the strip


class Broadcast:
    """The answers of the last seconds, drawn around the newest frame."""

    def __init__(self) -> None:
        self._stories: collections.deque[Story] = collections.deque()
        self._full_speed = 1.0

    def draw(
        self, story: Story, picture: np.ndarray, motion: np.ndarray | None
    ) -> np.ndarray:
        """Return the (720, 1280, 3) uint8 picture of one window.

        Args:
            story: Scores of the window.
            picture: (H, W, 3) uint8, its newest frame.
            motion: (H, W, 2) flow to that frame, or None.
        """
        self._stories.append(story)
        oldest = float(story.windows[-1, 1]) - _REMEMBERED
        # A window may last longer than all that is remembered.
        while len(self._stories) > 1 and self._first() < oldest:
            self._stories.popleft()
        joined, begin = self._joined(), self._first()
        second = float(story.windows[0].mean()) - begin
        return Stage(joined).draw(second, picture, self._shown(motion, picture))

    def _first(self) -> float:
        return float(self._stories[0].windows[0, 0])

    def _joined(self) -> Story:
        """Return one story of all that is remembered, from second 0 on."""
        last, all_of_them = self._stories[-1], list(self._stories)
        return dataclasses.replace(
            last,
            windows=np.concatenate([x.windows for x in all_of_them])
            - self._first(),
            timelines={
                stream: np.concatenate(
                    [x.timelines[stream] for x in all_of_them]
                )
                for stream in last.timelines
            },
        )

    def _shown(self, motion: np.ndarray | None, picture) -> np.ndarray:
        if motion is None:
            return np.zeros_like(picture)
        self._full_speed = calmed(self._full_speed, fast_speed(motion))
        return colours(motion, self._full_speed)
