"""Pictures of a model's answers: annotated videos and a contact sheet."""

from keras_twostream.visual._drawing import draw
from keras_twostream.visual._footage import footage
from keras_twostream.visual._page import page
from keras_twostream.visual._plot import plot
from keras_twostream.visual._sheet import contact_sheet
from keras_twostream.visual._story import Story
from keras_twostream.visual._tubes import Mark, tube_video
from keras_twostream.visual._video import annotated_video

__all__ = [
    "Mark",
    "Story",
    "annotated_video",
    "contact_sheet",
    "draw",
    "footage",
    "page",
    "plot",
    "tube_video",
]
