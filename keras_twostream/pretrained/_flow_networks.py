"""Published weights of learned optical flow.

These networks are not video models: they have no streams, head or ClipSpec, so
they are not in the catalogue that `load` reads. `flow.RAFT` uses them.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras_twostream._files import expanded
from keras_twostream.errors import (
    UnknownNameError,
    WeightsError,
    did_you_mean,
)
from keras_twostream.pretrained import _convert, _readers, _sources
from keras_twostream.pretrained._spec import WeightSpec
from keras_twostream.pretrained._variables import assign

DEFAULT = "default"
_FILES = (".pth", ".pt", ".safetensors")


def _torchvision(name: str, filename: str, data_terms: str) -> WeightSpec:
    return WeightSpec(
        name=name,
        license="bsd-3-clause",
        data_terms=data_terms,
        origin="converted",
        url=f"https://download.pytorch.org/models/{filename}",
        filename=filename,
        layout="raft",
        paper="Teed and Deng: RAFT, ECCV 2020",
        default=True,
    )


WEIGHTS = {
    spec.name: spec
    for spec in (
        _torchvision(
            "raft_small.c_t_v2",
            "raft_small_C_T_V2-01064c6d.pth",
            "FlyingChairs and FlyingThings3D stay under their own terms",
        ),
        _torchvision(
            "raft_large.c_t_skht_v2",
            "raft_large_C_T_SKHT_V2-ff5fadd5.pth",
            "FlyingChairs, FlyingThings3D, Sintel, KITTI and HD1K stay under "
            "their own terms",
        ),
    )
}


def flow_weight(name: str) -> WeightSpec | None:
    """Return the weight of this name, or the default one of this network.

    Args:
        name: "raft_small.c_t_v2", or "raft_small".

    Returns:
        The weight, or None if there is no such network or weight.
    """
    defaults = {spec.architecture: spec for spec in WEIGHTS.values()}
    return WEIGHTS.get(name) or defaults.get(name)


def fill(network: str, weights: str, variables: Mapping[str, Any]) -> None:
    """Put published weights into a network's variables.

    Args:
        network: "raft_small" or "raft_large".
        weights: "default", the name of a weight, or the path of a PyTorch or
            safetensors file under torchvision's keys.
        variables: Variables by key, as "feature_encoder_conv.kernel".

    Raises:
        WeightsError: If they cannot be fetched, verified or matched.
        UnknownNameError: If no weight has the name.
    """
    spec = _resolved(network, weights)
    try:
        (file,) = _sources.local_files(spec)
    except WeightsError as error:
        raise WeightsError(f"{error}{_elsewhere(spec)}") from error
    tensors = _convert.canonical(_readers.read(file.path), spec.layout)
    try:
        assign(variables, tensors)
    except WeightsError as error:
        raise WeightsError(f"{network} from {file.path}: {error}") from error


def _resolved(network: str, weights: str) -> WeightSpec:
    if weights.endswith(_FILES):
        path = expanded(weights).absolute()
        own = WEIGHTS[_names(network)[0]]
        folder, filename = str(path.parent), path.name
        return dataclasses.replace(
            own, url="", folder=folder, filename=filename
        )
    if weights == DEFAULT:
        return WEIGHTS[_names(network)[0]]
    if weights not in _names(network):
        raise UnknownNameError(
            f"{network} has no weights named {weights!r}."
            f"{did_you_mean(weights, _names(network))} A file's name ends in "
            f"{', '.join(_FILES)}."
        )
    return WEIGHTS[weights]


def _names(network: str) -> list[str]:
    return [n for n, spec in WEIGHTS.items() if spec.architecture == network]


def _elsewhere(spec: WeightSpec) -> str:
    """Return advice for use offline, after a network error."""
    if not spec.url:
        return ""
    return (
        f"\nOr fetch {spec.url} on another machine and give the file: "
        f"weights='path/to/{spec.filename}'."
    )
