"""A factor that is measured once and then belongs to the weights."""

import keras


@keras.saving.register_keras_serializable(package="keras_twostream")
class Rescale(keras.layers.Layer):
    """Multiply by one number, which is saved and not trained.

    Action Tubes brings the features of each stream to a mean norm of 20
    before they meet in one classifier; the factor is measured on the training
    regions. It is 1 until it is assigned.

    Input shape:
        Any.

    Output shape:
        The same.
    """

    def build(self, input_shape):
        self.factor = self.add_weight(
            name="factor", shape=(1,), initializer="ones", trainable=False
        )

    def call(self, features):
        return features * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape
