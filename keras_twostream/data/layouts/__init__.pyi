from keras_twostream.data.layouts.layout import Layout as Layout
from keras_twostream.data.layouts.layout import is_layout_file as is_layout_file
from keras_twostream.data.layouts.layout import read_layout as read_layout
from keras_twostream.data.layouts.measuring import Measured as Measured
from keras_twostream.data.layouts.measuring import measure as measure
from keras_twostream.data.layouts.sources import BOUND as BOUND
from keras_twostream.data.layouts.sources import LayoutSource as LayoutSource
from keras_twostream.data.layouts.sources import NpySource as NpySource
