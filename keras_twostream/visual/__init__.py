"""Pictures of a prediction: an annotated video and a contact sheet."""

from keras_twostream.visual._footage import footage as footage
from keras_twostream.visual._sheet import contact_sheet as contact_sheet
from keras_twostream.visual._story import Story as Story
from keras_twostream.visual._video import annotated_video as annotated_video
