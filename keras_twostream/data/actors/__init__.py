"""Actors: labelled videos of drawn people, made on your own machine."""

from keras_twostream.data.actors._clips import (
    CLASSES as CLASSES,
)
from keras_twostream.data.actors._clips import (
    generate as generate,
)
from keras_twostream.data.actors._clips import (
    render as render,
)
from keras_twostream.data.actors._clips import (
    write_clip as write_clip,
)
