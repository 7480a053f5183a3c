"""Published weights: what there is, where from, and how they are adapted.

`keras_twostream.load` uses all of it; the parts are public because a new
source of weights needs them too. No Keras, and no Hub client, before a
function needs them.
"""

from keras_twostream._lazy import lazy_names

_HOME = {
    "WeightFile": "_spec",
    "WeightSpec": "_spec",
    "cross_modality": "_adapt",
    "inflate": "_adapt",
    "list_weights": "_catalogue",
    "read_pickle": "_pickles",
    "register_weights": "_catalogue",
    "replace_head": "_transfer",
    "transfer": "_transfer",
    "weight_spec": "_catalogue",
}

__all__ = list(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
