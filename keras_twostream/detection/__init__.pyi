from keras_twostream.detection.box_lists import read_boxes as read_boxes
from keras_twostream.detection.box_lists import read_tracks as read_tracks
from keras_twostream.detection.detecting import detect as detect
from keras_twostream.detection.geometry import overlaps as overlaps
from keras_twostream.detection.geometry import suppress as suppress
from keras_twostream.detection.learning import (
    DetectorSettings as DetectorSettings,
)
from keras_twostream.detection.learning import train_detector as train_detector
from keras_twostream.detection.linking import Path as Path
from keras_twostream.detection.linking import link as link
from keras_twostream.detection.measures import Curve as Curve
from keras_twostream.detection.measures import Detections as Detections
from keras_twostream.detection.measures import (
    average_precision as average_precision,
)
from keras_twostream.detection.measures import frame_ap as frame_ap
from keras_twostream.detection.measures import roc as roc
from keras_twostream.detection.measures import video_ap as video_ap
from keras_twostream.detection.measuring import (
    evaluate_detector as evaluate_detector,
)
from keras_twostream.detection.proposals import propose as propose
from keras_twostream.detection.store import AnnotatedVideo as AnnotatedVideo
from keras_twostream.detection.tracks import Track as Track
from keras_twostream.detection.tracks import Tube as Tube
from keras_twostream.detection.tracks import track_overlap as track_overlap
from keras_twostream.detection.warping import warp as warp
from keras_twostream.regions import RegionSpec as RegionSpec
