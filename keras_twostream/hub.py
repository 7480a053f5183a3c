"""Models loaded by name, and published for others to load."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_twostream import _files, inspection
from keras_twostream.errors import SpecError, UnknownNameError, WeightsError
from keras_twostream.pretrained import WeightSpec, _loading, _saving, _select
from keras_twostream.registry import model_entry, plain_options


def load(
    name: str | WeightSpec,
    weights: str | WeightSpec | None = _select.DEFAULT,
    *,
    num_classes: int | None = None,
    classes: Sequence[str] | None = None,
    **options: Any,
) -> keras.Model:
    """Load a model with pretrained weights.

    Args:
        name: An architecture ("spatiotemporal_resnet"), a weight
            ("spatiotemporal_resnet.imagenet"), a Hub repository
            ("hf://user/repo" or "hf://user/repo@revision"), a folder
            ("local:path/to/dir"), or a WeightSpec.
        weights: Tag of a weight, a WeightSpec, or None for random weights:
            then of `name` only the architecture counts.
        num_classes: Classes of the head. The trained head stays if this is
            not given or equals the weight's.
        classes: Names of the classes; the head stays if they equal the
            weight's.
        **options: Arguments of the builder. Those that shape the network
            (depth, backbone, fusion, stride) choose among the weights.

    Returns:
        The model; `keras_twostream.clip_spec(model)` gives its clip.

    Raises:
        UnknownNameError: If no architecture, weight or option has the name.
        SpecError: If an option is not one of its choices, `classes` are not
            distinct or not `num_classes` many, or go with `heads`.
        WeightsError: If no weight fits the options, or the file cannot be
            fetched, verified or matched to the model.

    Example:

    ```python
    model = keras_twostream.load("spatiotemporal_resnet", num_classes=51)
    ```
    """
    if classes is not None:
        classes = inspection.checked_classes(classes)
        num_classes = _count(classes, num_classes)
    if num_classes is not None and options.get("heads"):
        raise SpecError(
            "`heads` has the number of classes of each data set: leave out "
            "`num_classes` and `classes`, or leave out `heads`."
        )
    if num_classes is not None:
        options["num_classes"] = num_classes
    options = plain_options(options)
    if weights is None:
        return _random(name, classes, options)
    spec = _select.resolve(name, weights, options)
    try:
        return _loading.load_spec(spec, options, classes)
    except WeightsError:
        # A folder may be published anew between its config and its tensors.
        latest = (
            _select.resolve(name, weights, options) if spec.folder else spec
        )
        if latest == spec:
            raise
        return _loading.load_spec(latest, options, classes)


def save_pretrained(
    model: keras.Model,
    folder: str | Path,
    *,
    dtype: str | None = None,
    license: str = "unspecified",
    data_terms: str = "unspecified",
    origin: str = "trained",
    base: str = "",
    metrics: Sequence[Mapping[str, Any]] = (),
    datasets: Sequence[str] = (),
    note: str = "",
) -> Path:
    """Write a model as a folder that `load("local:<folder>")` reads.

    The folder holds model.safetensors, config.json and a model card. An
    existing README.md is left as it is.

    Args:
        model: A model of a registered architecture.
        folder: Folder to write; made if missing.
        dtype: "float16" halves the file; None keeps float32.
        license: SPDX identifier of the weights.
        data_terms: Terms of the data they were trained on.
        origin: "trained", "converted" or "inflated".
        base: The weights training started from.
        metrics: Results as dicts with `name`, `value`, `dataset`, `split`
            and `protocol`.
        datasets: Hub names of the training data.
        note: One sentence for `list_weights`.

    Returns:
        The folder.

    Raises:
        SpecError: If the model has no stream input of this library, or was
            not built by a registered architecture, or `metrics` or `datasets`
            is no list.
        WeightsError: If a fact is no value of JSON, the model's card no longer
            fits its layers, the dtype is not one of the two, or the disk
            refuses.
    """
    facts = {
        "license": license,
        "data_terms": data_terms,
        "origin": origin,
        "base": base,
        "metrics": _results(metrics),
        "datasets": _rows("datasets", datasets),
        "note": note,
    }
    folder = _files.expanded(folder)
    return _saving.write_folder(model, folder, facts, dtype)


def state_metrics(
    folder: str | Path, metrics: Sequence[Mapping[str, Any]]
) -> None:
    """Write results into a folder that `save_pretrained` wrote.

    The model card follows, unless somebody has changed it since.

    Args:
        folder: The folder.
        metrics: As in `save_pretrained`.

    Raises:
        WeightsError: If there is no such folder, its config is wrong, or the
            disk refuses.
    """
    facts = {"metrics": _results(metrics)}
    _saving.state_facts(_files.expanded(folder), facts)


def weight_of(name: str | WeightSpec) -> WeightSpec:
    """Return the weight that `load(name)` takes.

    Only the config of a Hub repository or of a folder is read.

    Args:
        name: As `load` takes it.

    Raises:
        UnknownNameError: If no architecture or weight has the name.
        WeightsError: If there is no such folder or repository.
    """
    return _select.resolve(name, _select.DEFAULT, {})


def push_to_hub(
    model: keras.Model | str | Path,
    repo_id: str,
    *,
    license: str = "",
    data_terms: str = "",
    private: bool = False,
    message: str = "",
    **facts: Any,
) -> str:
    """Publish a model on the Hub, for others to load by name.

    Args:
        model: A model, or a folder that `save_pretrained` wrote; licence
            and data terms given here are written into the folder, too, once
            the Hub has them.
        repo_id: "user/name"; made if it does not exist. A README.md that is
            there already is left as it is.
        license: SPDX identifier of the weights, as "apache-2.0".
        data_terms: Terms of the data they were trained on.
        private: Whether a new repository is private.
        message: Message of the commit.
        **facts: More arguments of `save_pretrained`: dtype, metrics, ...; a
            folder has its own.

    Returns:
        "hf://user/name@commit", which loads exactly these weights.

    Raises:
        SpecError: If facts are given for a folder.
        WeightsError: If licence or data terms are missing, the model cannot
            be saved, or the Hub refuses.

    Example:

    ```python
    address = keras_twostream.push_to_hub(
        model, "me/my-actions", license="apache-2.0", data_terms="my videos"
    )
    ```
    """
    from keras_twostream.pretrained import _publishing

    terms = {"license": license, "data_terms": data_terms}
    if not isinstance(model, keras.Model):
        _refuse_facts(facts)
        folder = _folder_of(model)
        address = _publishing.push_folder(
            folder, repo_id, terms=terms, private=private, message=message
        )
        if any(terms.values()):
            _saving.state_facts(folder, terms)
        return address
    with tempfile.TemporaryDirectory() as place:
        folder = save_pretrained(model, place, **{**facts, **terms})
        return _publishing.push_folder(
            folder, repo_id, private=private, message=message
        )


def _count(names: Sequence[str], num_classes: int | None) -> int:
    count = len(names)
    if len(set(names)) != count:
        raise SpecError(f"`classes` must be distinct names. Received: {names}")
    if num_classes not in (None, count):
        raise SpecError(
            "`num_classes` must be the number of `classes`; leave it out. "
            f"Received: num_classes={num_classes}, {count} classes"
        )
    return count


def _rows(name: str, rows: Any) -> list[Any]:
    if isinstance(rows, str | Mapping) or not isinstance(rows, Sequence):
        raise SpecError(f"`{name}` must be a list. Received: {name}={rows!r}")
    return list(rows)


def _results(metrics: Any) -> list[dict[str, Any]]:
    rows = _rows("metrics", metrics)
    if not all(isinstance(row, Mapping) for row in rows):
        raise SpecError(
            "`metrics` must be a list of dicts, such as {'name': 'top1', "
            f"'value': 0.9}}. Received: metrics={metrics!r}"
        )
    return [dict(row) for row in rows]


def _folder_of(model: str | Path) -> Path:
    """Return the folder that a caller of `push_to_hub` means."""
    folder = _files.expanded(str(model).removeprefix("local:"))
    if not folder.is_dir():
        raise WeightsError(
            f"There is no folder {folder}. push_to_hub takes a model, or a "
            "folder that keras_twostream.save_pretrained wrote; weights that "
            "have a name are published as keras_twostream.push_to_hub("
            f"keras_twostream.load({str(model)!r}), ...)."
        )
    return folder


def _refuse_facts(facts: Mapping[str, Any]) -> None:
    if facts:
        raise SpecError(
            "A folder holds its facts already, in config.json: only `license` "
            "and `data_terms` can be given with it. Received: "
            f"{', '.join(sorted(facts))}. Save the model again with "
            "keras_twostream.save_pretrained, or push the model itself."
        )


def _random(
    name: Any, classes: Sequence[str] | None, options: dict[str, Any]
) -> keras.Model:
    name = str(getattr(name, "name", name))
    if ":" in name:
        raise UnknownNameError(
            "weights=None builds an architecture anew, and takes its name, "
            f"such as 'spatiotemporal_resnet'. Received: {name!r}"
        )
    architecture = name.partition(".")[0]
    model = model_entry(architecture).builder(**options)
    return _loading.name_classes(model, classes)
