from keras_twostream import actors as actors
from keras_twostream.data import cache as cache
from keras_twostream.data import layouts as layouts
from keras_twostream.data.cutting.augmentation import (
    AUGMENTATIONS as AUGMENTATIONS,
)
from keras_twostream.data.cutting.clip_sources import Views as Views
from keras_twostream.data.cutting.clip_sources import clips as clips
from keras_twostream.data.cutting.clip_sources import (
    view_footage as view_footage,
)
from keras_twostream.data.cutting.cropping import Crop as Crop
from keras_twostream.data.cutting.cropping import view_crops as view_crops
from keras_twostream.data.cutting.placement import SAMPLERS as SAMPLERS
from keras_twostream.data.cutting.placement import views as views
from keras_twostream.data.cutting.windowing import Windows as Windows
from keras_twostream.data.doctor import examine as examine
from keras_twostream.data.extraction import extract as extract
from keras_twostream.data.feeding.pipeline import video_dataset as video_dataset
from keras_twostream.data.lists.annotations import Annotations as Annotations
from keras_twostream.data.lists.annotations import (
    read_annotations as read_annotations,
)
from keras_twostream.data.lists.imports import (
    from_hugging_face as from_hugging_face,
)
from keras_twostream.data.lists.imports import from_tfds as from_tfds
from keras_twostream.data.lists.items import Item as Item
from keras_twostream.data.video.reading import VideoInfo as VideoInfo
from keras_twostream.data.video.reading import count_frames as count_frames
from keras_twostream.data.video.reading import iter_frames as iter_frames
from keras_twostream.data.video.reading import probe as probe
from keras_twostream.data.video.reading import read_frames as read_frames
