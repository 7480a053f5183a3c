from keras_twostream.detection.geometry import overlaps as overlaps
from keras_twostream.detection.geometry import suppress as suppress
from keras_twostream.detection.linking import Path as Path
from keras_twostream.detection.linking import link as link
from keras_twostream.detection.linking import path_score as path_score
from keras_twostream.detection.measures import Curve as Curve
from keras_twostream.detection.measures import Detections as Detections
from keras_twostream.detection.measures import (
    average_precision as average_precision,
)
from keras_twostream.detection.measures import frame_ap as frame_ap
from keras_twostream.detection.measures import roc as roc
from keras_twostream.detection.measures import video_ap as video_ap
from keras_twostream.detection.tracks import Track as Track
from keras_twostream.detection.tracks import Tube as Tube
from keras_twostream.detection.tracks import track_overlap as track_overlap
from keras_twostream.detection.warping import warp as warp
