from keras_twostream.pretrained._adapt import cross_modality as cross_modality
from keras_twostream.pretrained._adapt import inflate as inflate
from keras_twostream.pretrained._catalogue import list_weights as list_weights
from keras_twostream.pretrained._catalogue import (
    register_weights as register_weights,
)
from keras_twostream.pretrained._catalogue import weight_spec as weight_spec
from keras_twostream.pretrained._default_weights import (
    default_weights as default_weights,
)
from keras_twostream.pretrained._pickles import read_pickle as read_pickle
from keras_twostream.pretrained._spec import WeightFile as WeightFile
from keras_twostream.pretrained._spec import WeightSpec as WeightSpec
from keras_twostream.pretrained._transfer import replace_head as replace_head
from keras_twostream.pretrained._transfer import transfer as transfer
