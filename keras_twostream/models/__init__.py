"""The architectures: one file each, from the paper to the registration.

`keras_twostream.models.<name>(...)` builds a model with random weights;
`keras_twostream.load` brings trained ones.
"""

from typing import Any

from keras_twostream import registry


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return registry.model_entry(name).builder
    except registry.UnknownNameError as error:
        raise AttributeError(str(error)) from error


def __dir__() -> list[str]:
    return registry.list_models()
