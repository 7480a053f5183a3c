"""Pictures of a prediction: an annotated video and a contact sheet."""

from keras_twostream.visual._footage import footage
from keras_twostream.visual._sheet import contact_sheet
from keras_twostream.visual._story import Story
from keras_twostream.visual._video import annotated_video

__all__ = ["Story", "annotated_video", "contact_sheet", "footage"]
