"""Pictures of a model's answers: annotated videos and a contact sheet."""

from keras_twostream.visual._broadcast import Broadcast
from keras_twostream.visual._drawing import draw
from keras_twostream.visual._footage import colours, footage
from keras_twostream.visual._heat import (
    Reasons,
    heat_image,
    heat_sheet,
    heat_video,
)
from keras_twostream.visual._network import network_figure
from keras_twostream.visual._page import page
from keras_twostream.visual._plot import plot
from keras_twostream.visual._sheet import contact_sheet
from keras_twostream.visual._story import Story
from keras_twostream.visual._tubes import Mark, tube_video
from keras_twostream.visual._video import (
    SIZE,
    Stage,
    annotated_video,
    video_path,
    video_writer,
)

__all__ = [
    "SIZE",
    "Broadcast",
    "Mark",
    "Reasons",
    "Stage",
    "Story",
    "annotated_video",
    "colours",
    "contact_sheet",
    "draw",
    "footage",
    "heat_image",
    "heat_sheet",
    "heat_video",
    "network_figure",
    "page",
    "plot",
    "tube_video",
    "video_path",
    "video_writer",
]
