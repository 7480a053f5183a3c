"""Options of a detector that is small enough to train in a test."""

from keras_twostream.detection import DetectorSettings, train_detector

OPTIONS = {
    "width": 0.02,
    "clip_spec": {
        "crop": (67, 67),
        "short_side": 64,
        "flow_algorithm": "farneback",
    },
    "regions": {
        "limit": 12,
        "least_saliency": 0.01,
        "context": 5,
        "stabilise": True,
    },
}
CLASSES = ("bend", "jumping_jack")


def trained(company, out, **options):
    return train_detector(
        company,
        out,
        settings=DetectorSettings(frames=2, steps=2, batch_size=16),
        recipe="action_tubes_actors",
        **{**OPTIONS, **options},
    )
