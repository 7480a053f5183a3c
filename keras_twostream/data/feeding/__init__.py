"""The `tf.data` pipeline: item order, reading and batching."""
