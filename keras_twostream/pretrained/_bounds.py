"""Limits on the size of a network that a published weight may request.

A config is written by whoever publishes, and the network is built from it
before its tensors can be compared: absurd numbers must not fill the memory.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keras_twostream.errors import WeightsError

LARGEST = {
    "clip_length": 512,
    "crop": 512,
    "depth": 1_000,
    "flow_length": 256,
    "frames_per_step": 256,
    "heads": 100_000,
    "num_classes": 100_000,
    "resize_to": 2_048,
    "short_side": 2_048,
    "width": 256,
}
LARGEST_OTHER = 10_000
MOST_PIXELS = 1 << 24  # pixels in one clip; I3D's have 3.2 million
_MOST_VALUES = 1_000


def check_sizes(
    name: str, options: Mapping[str, Any], clip_spec: Mapping[str, Any]
) -> None:
    """Refuse options that no real network has.

    Raises:
        WeightsError: If a number is not finite or beyond its limit, or a
            clip of that length and crop is.
    """
    numbers = itertools.islice(
        _numbers("", (options, clip_spec)), _MOST_VALUES + 1
    )
    sizes: dict[str, float] = {}
    for count, (field, value) in enumerate(numbers):
        limit = LARGEST.get(field, LARGEST_OTHER)
        if not abs(value) <= limit:
            raise _refusal(name, field, limit, value)
        if count == _MOST_VALUES:
            raise WeightsError(
                f"The options of {name} hold more than {_MOST_VALUES} "
                "numbers, which no network needs."
            )
        sizes[field] = max(abs(value), sizes.get(field, 1))
    pixels = sizes.get("clip_length", 1) * sizes.get("crop", 1) ** 2
    if pixels > MOST_PIXELS:
        raise _refusal(name, "clip_length x crop", MOST_PIXELS, pixels)


def _refusal(name: str, field: str, limit: int, value: float) -> WeightsError:
    received = repr(value)
    if len(received) > 30:
        received = f"a number of {len(received)} digits"
    return WeightsError(
        f"`{field}` of {name} must not be larger than {limit}, lest a "
        "published weight fill the memory. Build larger networks with "
        f"keras_twostream.models. Received: {received}"
    )


def _numbers(field: str, value: Any) -> Iterator[tuple[str, float]]:
    """Yield every number in nested values, with its field."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield field, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            known = key if key in LARGEST or not field else field
            yield from _numbers(known, item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for item in value:
            yield from _numbers(field, item)
