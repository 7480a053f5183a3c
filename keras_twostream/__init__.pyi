from keras_twostream import data as data
from keras_twostream import detection as detection
from keras_twostream import errors as errors
from keras_twostream import flow as flow
from keras_twostream import inspection as inspection
from keras_twostream import layers as layers
from keras_twostream import models as models
from keras_twostream import pretrained as pretrained
from keras_twostream import scoring as scoring
from keras_twostream import training as training
from keras_twostream.deploy import with_flow as with_flow
from keras_twostream.detection.detecting import detect as detect
from keras_twostream.hub import load as load
from keras_twostream.hub import push_to_hub as push_to_hub
from keras_twostream.hub import save_pretrained as save_pretrained
from keras_twostream.inspection import clip_spec as clip_spec
from keras_twostream.inspection import taps as taps
from keras_twostream.prediction import Prediction as Prediction
from keras_twostream.pretrained import WeightSpec as WeightSpec
from keras_twostream.pretrained import list_weights as list_weights
from keras_twostream.pretrained import register_weights as register_weights
from keras_twostream.registry import list_models as list_models
from keras_twostream.registry import register_model as register_model
from keras_twostream.scoring.predicting import clips as clips
from keras_twostream.scoring.predicting import predict as predict
from keras_twostream.spec import ClipSpec as ClipSpec

__version__: str
