"""Transfer of weights between models: new heads, image networks."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_twostream import inspection, registry
from keras_twostream.errors import SpecError
from keras_twostream.inspection import head_layers
from keras_twostream.pretrained import _convert
from keras_twostream.pretrained._variables import assign, variables


def replace_head(
    model: keras.Model, classes: Sequence[str] | int
) -> keras.Model:
    """Return the same network with one fresh classifier.

    The old model is unchanged.

    Args:
        model: A model of a registered architecture.
        classes: Names of the new classes, or their number.

    Returns:
        A new model that has every other weight of the old one.

    Raises:
        SpecError: If the model was not built by a registered architecture, or
            the classes are no list of names.

    Example:

    ```python
    model = replace_head(model, ["open the door", "close the door"])
    ```
    """
    names = None
    if not isinstance(classes, numbers.Integral):
        names = inspection.checked_classes(classes)
    count = classes if names is None else len(names)
    changes: dict[str, Any] = {"num_classes": count}
    if inspection.card(model).get("options", {}).get("heads"):
        changes["heads"] = None
    fresh = with_fresh_heads(model, **changes)
    inspection.update_card(fresh, classes=names)
    return fresh


def with_fresh_heads(model: keras.Model, **changes: Any) -> keras.Model:
    """Return the same network with all its classifiers fresh.

    Args:
        model: A model of a registered architecture. It is unchanged.
        **changes: Options of the builder that shape the classifiers.

    Raises:
        SpecError: If the model was not built by a registered architecture.
    """
    card = inspection.card(model)
    if "architecture" not in card:
        raise SpecError(
            f"The model {model.name!r} was not built by a registered "
            "architecture, so its head cannot be told from the rest. Use "
            "keras_twostream.load(..., num_classes=...)."
        )
    builder = registry.model_entry(card["architecture"]).builder
    fresh = builder(**{**card["options"], **changes})
    assign(_below_head(fresh), _arrays(_below_head(model)))
    inspection.update_card(fresh, head_trained=False, base=card.get("base", ""))
    return fresh


def transfer(
    source: keras.Model,
    target: keras.Model,
    layout: str,
    **adaptation: Any,
) -> None:
    """Put an image network of `keras.applications` into each stream.

    Args:
        source: VGG16, InceptionV3, ResNet50, ResNet101 or ResNet152, with
            or without its top.
        target: A model whose towers are the same network, built as
            keras.applications means it: VGG and ResNet with
            `normalization="caffe"` (with means of 104, 117 and 123 where
            it has 103.939, 116.779 and 123.68), ResNet also with
            `stride_in="1x1"`, Inception v3 with `count_padding=False`.
        layout: "applications_vgg16", "applications_inception_v3" or
            "applications_resnet".
        **adaptation: Fields of a WeightSpec: time, channels, fresh, unused.

    Raises:
        WeightsError: If a variable of the target has no source, or a source
            no variable; nothing was assigned.

    Example:

    ```python
    image_net = keras.applications.VGG16()
    model = keras_twostream.models.two_stream_vgg16(normalization="caffe")
    transfer(image_net, model, "applications_vgg16")
    ```
    """
    canonical = _convert.canonical(_arrays(variables(source)), layout)
    targets = _below_head(target)
    shapes = {key: tuple(v.shape) for key, v in targets.items()}
    frames = inspection.clip_spec(target).frames_per_step
    tensors = _convert.adapt({"": canonical}, shapes, (), adaptation, frames)
    assign({key: targets[key] for key in tensors}, tensors)


def _below_head(model: keras.Model) -> dict[str, Any]:
    heads = head_layers(model)
    return {k: v for k, v in variables(model).items() if _layer(k) not in heads}


def _arrays(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: keras.ops.convert_to_numpy(variable.value)
        for key, variable in variables.items()
    }


def _layer(key: str) -> str:
    return key.rpartition(".")[0]
