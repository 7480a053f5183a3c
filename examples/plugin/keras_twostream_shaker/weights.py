"""Where the weights lie; Keras is not imported to list them."""

from keras_twostream import WeightSpec


def weights():
    """The published weights of this package."""
    return [
        WeightSpec(
            name="shaker.demo",
            repo_id="me/shaker-demo",
            options={"streams": ("flow",)},
            license="apache-2.0",
            data_terms="videos of my own desk",
            origin="trained",
            classes=("still", "moving"),
            head_trained=True,
            default=True,
        )
    ]
