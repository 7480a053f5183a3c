"""A sum that TensorFlow does not fuse into its readers."""

import keras


@keras.saving.register_keras_serializable(package="keras_twostream")
class SharedSum(keras.layers.Add):
    """The sum of its inputs, of which several layers read.

    TensorFlow fuses a convolution, its bias and the sum behind it into one
    operation. Where a ReLU and another sum both read it, this fails, with an
    error in the log, and nothing in the whole network is fused. A check of the
    shape, which costs nothing, keeps the readers apart.

    Input shape:
        A list of tensors of one shape.

    Output shape:
        The same.
    """

    def call(self, inputs):
        total = super().call(inputs)
        if keras.backend.backend() != "tensorflow":
            return total
        import tensorflow as tf

        return tf.ensure_shape(total, total.shape)
