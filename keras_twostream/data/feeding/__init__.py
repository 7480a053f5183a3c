"""The `tf.data` pipeline: order of the items, reading, batches."""
