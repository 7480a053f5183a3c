"""Selection of one WeightSpec from the user's arguments."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_twostream import _files, registry
from keras_twostream.errors import UnknownNameError, WeightsError
from keras_twostream.pretrained import _catalogue, _folder
from keras_twostream.pretrained._spec import WeightSpec

# Options that leave every variable's key, shape and meaning as they are. All
# others choose among the weights.
FREE_OPTIONS = frozenset(
    {
        "num_classes",
        "classes",
        "streams",
        "heads",
        "clip_length",
        "temporal_pool",
        "pool_window",
        "dropout",
        "input_dropout",
        "every_boundary",
        "outputs",
        "classifier_activation",
        "clip_spec",
        "regions",
    }
)
DEFAULT = "default"
_LONGEST_TAG = 60


def resolve(
    name: str | WeightSpec,
    weights: str | WeightSpec,
    options: Mapping[str, Any],
) -> WeightSpec:
    """Return the weight that a call of `load` means.

    Args:
        name: Architecture, "architecture.tag", hf:// or local: address, or
            a WeightSpec.
        weights: "default", a tag, or a WeightSpec.
        options: The builder's arguments the user gave.

    Returns:
        A WeightSpec whose options agree with the user's.

    Raises:
        UnknownNameError: If a name or option does not exist.
        WeightsError: If no weight fits.
    """
    if isinstance(weights, WeightSpec):
        _check_same_architecture(name, weights)
        spec = weights
    elif weights != DEFAULT:
        spec = _catalogue.weight_spec(_tagged(name, weights))
        _check_same_architecture(name, spec)
    else:
        spec = _named(name, options)
    _check_options(spec, options)
    return spec


def conflicts(
    spec: WeightSpec, options: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """Return options that differ from the weight's, as (wanted, has)."""
    defaults = registry.model_entry(spec.architecture).options
    free = FREE_OPTIONS | set(spec.adaptation.get("free", ()))
    differences = {}
    for option, wanted in options.items():
        has = spec.options.get(option, defaults.get(option))
        if option not in free and _plain(wanted) != _plain(has):
            differences[option] = (wanted, has)
    return differences


def _named(name: str | WeightSpec, options: Mapping[str, Any]) -> WeightSpec:
    if isinstance(name, WeightSpec):
        return name
    if not isinstance(name, str):
        raise UnknownNameError(
            'A name is text; a folder is loaded as "local:<folder>". '
            f"Received: {name!r}"
        )
    if name.startswith("hf://"):
        from keras_twostream.pretrained import _hub_files

        return _hub_files.spec_of(name)
    if name in ("", "local:"):  # else a Path is the folder at hand
        raise UnknownNameError(
            f"{name!r} names nothing. Give a name that list_models prints, or "
            '"local:<folder>".'
        )
    if name.startswith("local:"):
        return spec_of_folder(Path(name.removeprefix("local:")))
    _refuse_path(name)
    if "." in name:
        return _catalogue.weight_spec(name)
    return _default(name, options)


def _refuse_path(name: str) -> None:
    """Refuse a path, or a repository without hf://, with the right form."""
    at_home = name.startswith(("/", "\\", ".", "~")) or name[1:2] == ":"
    a_model = name.partition(".")[0] in registry.list_models()
    if at_home or (Path(name).is_dir() and not a_model):
        raise UnknownNameError(
            f"{name!r} is a path. A folder that keras_twostream."
            f"save_pretrained wrote is loaded as 'local:{name}'."
        )
    if "/" in name or "\\" in name:
        raise UnknownNameError(
            f"There is no folder {name}. Write hf://{name} if it is a "
            "repository on the Hub, or local:PATH with the path of a folder."
        )


def spec_of_folder(folder: Path) -> WeightSpec:
    """Return the weight in a folder that `save_pretrained` wrote.

    Raises:
        WeightsError: If there is no such folder, or its config is wrong.
    """
    folder = _files.expanded(folder)
    if not folder.is_dir():
        raise WeightsError(
            f"There is no folder {folder}. `local:` takes a folder that "
            "keras_twostream.save_pretrained wrote."
        )
    config = _folder.read_config(folder / _folder.CONFIG)
    return _folder.spec_of_config(
        config,
        f"{config['architecture']}.{_tag_of_folder(folder)}",
        folder=str(folder),
    )


def _tag_of_folder(folder: Path) -> str:
    """Return a tag that tells one folder's answers from another's.

    It begins with "local", so that no folder passes for published weights.
    The model of a run has the run's name.
    """
    folder = folder.absolute()
    name = folder.parent.name if folder.name == "model" else folder.name
    words = re.findall("[a-z0-9]+", name.lower())
    return "_".join(["local", *words])[:_LONGEST_TAG].rstrip("_")


def _default(architecture: str, options: Mapping[str, Any]) -> WeightSpec:
    registry.model_entry(architecture)
    choices = _catalogue.list_weights(architecture)
    for spec in choices:
        # A weight that needs a flag is not chosen automatically.
        if not conflicts(spec, options) and not spec.needs_flag:
            return spec
    if not choices:
        others = {spec.architecture for spec in _catalogue.list_weights()}
        raise WeightsError(
            f"{architecture} has no published weights: nobody offers any in "
            "public. Build it with random ones: keras_twostream.load("
            f"{architecture!r}, weights=None), or `train --weights none`. "
            "Architectures that have some: "
            f"{', '.join(sorted(others))}.{_catalogue.broken_plugins()}"
        )
    rows = "".join(_row(spec, conflicts(spec, options)) for spec in choices)
    raise WeightsError(
        f"No weight of {architecture} fits the options "
        f"{_written(options)}. There are:{rows}\nLeave those options out, or "
        "use weights=None (`--weights none`) for random weights."
    )


def _check_options(spec: WeightSpec, options: Mapping[str, Any]) -> None:
    known = registry.model_entry(spec.architecture).options
    registry.refuse_unknown_options(spec.architecture, options, known)
    differences = conflicts(spec, options)
    if differences:
        raise WeightsError(
            f"The weight {spec.name} does not fit:{_row(spec, differences)}\n"
            "Leave those options out, choose another weight (see "
            f"keras_twostream.list_weights({spec.architecture!r})), or use "
            "weights=None (`--weights none`) for random weights."
        )


def _check_same_architecture(name: Any, spec: WeightSpec) -> None:
    if isinstance(name, str) and name != spec.architecture:
        raise WeightsError(
            f"The weight {spec.name} is not for {name!r}. Write "
            f"load({spec.architecture!r}, weights=...)."
        )


def _tagged(name: str | WeightSpec, tag: str) -> str:
    if not isinstance(tag, str):
        raise WeightsError(
            "`weights` is the tag of a weight, a WeightSpec, or None for "
            f"random weights. Received: weights={tag!r}"
        )
    if isinstance(name, WeightSpec) or "." in name or ":" in name:
        raise WeightsError(
            "A tag in `weights` goes with the name of an architecture. "
            f"Received: name={name!r}, weights={tag!r}"
        )
    return tag if "." in tag else f"{name}.{tag}"


def _row(spec: WeightSpec, differences: Mapping[str, tuple[Any, Any]]) -> str:
    facts = ", ".join(
        f"{option}={has!r} (you asked for {wanted!r})"
        for option, (wanted, has) in differences.items()
    )
    return f"\n    {spec.name}: {facts}"


def _written(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
