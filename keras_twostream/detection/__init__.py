"""Action Tubes: who does what, where and when (Gkioxari & Malik 2015)."""

from keras_twostream._lazy import lazy_names

_HOME = {
    "Curve": "measures",
    "Detections": "measures",
    "Path": "linking",
    "Track": "tracks",
    "Tube": "tracks",
    "average_precision": "measures",
    "frame_ap": "measures",
    "link": "linking",
    "overlaps": "geometry",
    "path_score": "linking",
    "roc": "measures",
    "suppress": "geometry",
    "track_overlap": "tracks",
    "video_ap": "measures",
    "warp": "warping",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
