"""The page of keras_twostream, as a Hugging Face Space runs it."""

import threading

from keras_twostream import web

MODELS = ["spatiotemporal_resnet.actors"]

if __name__ == "__main__":
    limits = web.Limits(megabytes=50, seconds=30)
    with web.serving(MODELS, host="0.0.0.0", port=7860, limits=limits):
        threading.Event().wait()
