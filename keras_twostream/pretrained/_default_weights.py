"""The weights that answer where nobody has named any.

Those on this machine that know the most of real videos; where there are none,
I3D from Kinetics-400, which is downloaded when somebody has agreed to it.
"""

import os
import sys

from keras_twostream.errors import WeightsError
from keras_twostream.pretrained import _facts, _sources
from keras_twostream.pretrained._catalogue import list_weights, weight_spec
from keras_twostream.pretrained._spec import WeightSpec

FALLBACK = "i3d.kinetics400"
# HMDB-51's, the fewest classes of the literature's data sets. A network of
# fewer names nothing right in most videos.
FEWEST_CLASSES = 51


def default_weights() -> WeightSpec:
    """Return the weights that `predict` takes where none are named.

    The best whose files are on this machine: those that name the most
    actions of real videos, 51 or more, and of these the most accurate by
    their stated results. Where there are none, I3D trained on Kinetics-400,
    which must be downloaded. Nothing is downloaded here.

    Returns:
        The weights, which `load` takes.

    Example:

    ```python
    weights = keras_twostream.default_weights()
    print(weights.name, weights.data, weights.license)
    ```
    """
    here = [
        spec
        for spec in list_weights(task="recognition", head_trained=True)
        if _names_real_actions(spec) and _sources.are_cached(spec)
    ]
    return max(here, key=_worth, default=weight_spec(FALLBACK))


def agreed_weights(*, yes: bool = False) -> WeightSpec:
    """Return `default_weights`, downloaded if somebody agrees to it.

    The files are fetched here, before a backend is imported: without a
    network nobody waits for TensorFlow to be told so.

    Args:
        yes: Whether the user has agreed already. Otherwise a terminal is
            asked; nobody is asked in continuous integration.

    Raises:
        WeightsError: If they are not here and nobody agreed, or if they
            cannot be fetched.
    """
    spec = default_weights()
    if _sources.are_cached(spec):
        return spec
    if yes or (_can_ask() and _ask(spec)):
        return _fetched(spec)
    raise WeightsError(
        "No weights that know real videos are on this machine, and nobody "
        f"agreed to a download. Fetch {spec.name} ({_facts.megabytes(spec)}) "
        f"once with\n    keras-twostream weights pull {spec.name}\nor agree "
        "with `--yes`, or name weights: `--model NAME`, in Python "
        "predict(video, NAME). `keras-twostream list` names them; "
        "spatiotemporal_resnet.actors ships, and knows drawn people only."
    )


def _fetched(spec: WeightSpec) -> WeightSpec:
    try:
        _sources.local_files(spec)
    except WeightsError as error:
        raise WeightsError(
            f"{error} Without a network, name weights that are here: "
            "`--model spatiotemporal_resnet.actors` ships, and knows drawn "
            "people only."
        ) from error
    return spec


def _names_real_actions(spec: WeightSpec) -> bool:
    synthetic = "synthetic" in spec.data_terms.lower()
    return len(spec.classes or ()) >= FEWEST_CLASSES and not synthetic


def _worth(spec: WeightSpec) -> tuple[int, float, bool]:
    result = _facts.headline(spec) or {"value": 0.0}
    return len(spec.classes or ()), float(result["value"]), spec.default


def _can_ask() -> bool:
    automatic = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return not automatic and sys.stdin.isatty() and sys.stderr.isatty()


def _ask(spec: WeightSpec) -> bool:
    print(
        "No weights that know real videos are on this machine.\n"
        f"{spec.name} names {_facts.knows(spec)}; "
        f"{_facts.accuracy(spec) or 'no accuracy is stated'}; "
        f"{spec.license}.\nDownload {_facts.megabytes(spec)} now? [y/N] ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")
