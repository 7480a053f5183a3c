"""The source of the weights of learned flow.

Published weights are known, fetched and verified in `pretrained`, which lies
above this package. The package's root joins the two: it hands over the
function that fills variables.
"""

from collections.abc import Callable, Mapping
from typing import Any

DEFAULT = "default"

Fill = Callable[[str, str, Mapping[str, Any]], None]

_fills: list[Fill] = []


def fill_with(fill: Fill) -> None:
    """Fill variables by this function from now on.

    Args:
        fill: Function of the network's name, the weights' name and the
            variables by key.
    """
    _fills[:] = [fill]


def fill(network: str, weights: str, variables: Mapping[str, Any]) -> None:
    """Put published weights into a network's variables.

    Args:
        network: "raft_small" or "raft_large".
        weights: "default", a weight's name, or the path of a file.
        variables: Variables by key, as "feature_encoder_conv.kernel".

    Raises:
        WeightsError: If they cannot be fetched, verified or matched.
        UnknownNameError: If no weight has the name.
    """
    _fills[-1](network, weights, variables)
