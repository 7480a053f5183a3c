"""From videos to a packed cache: many at once, resumable, each counted."""

from keras_twostream._lazy import lazy_names

_HOME = {
    "Job": "_jobs",
    "Summary": "_extract",
    "extract": "_extract",
    "find_jobs": "_jobs",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
