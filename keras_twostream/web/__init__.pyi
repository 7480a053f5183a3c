from keras_twostream.web.desk import Answer as Answer
from keras_twostream.web.desk import Desk as Desk
from keras_twostream.web.desk import Limits as Limits
from keras_twostream.web.page import build as build
from keras_twostream.web.page import serving as serving
