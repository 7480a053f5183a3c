"""The contract of a cache: how its frames and flow were made."""

import dataclasses
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

from keras_twostream._schema import Rule, check
from keras_twostream.data.video import READER_VERSION
from keras_twostream.errors import SpecError, check_choice, check_number
from keras_twostream.spec import (
    BOTH_WAYS,
    RESIZE_FILTERS,
    STREAMS,
    ClipSpec,
    check_stream_names,
)

VERSION = 1
ENCODINGS = ("jpeg", "png", "raw")
LARGEST_SIDE = 2**14  # px
RULES = {
    "streams": Rule(list, item=str),
    "short_side": Rule(int, low=1, high=LARGEST_SIDE),
    "resize_to": Rule(
        list, item=int, none=True, length=2, low=1, high=LARGEST_SIDE
    ),
    # The first caches lack these fields; they were made with the defaults.
    "resize_filter": Rule(str, choices=RESIZE_FILTERS, required=False),
    "cut_to": Rule(
        list,
        item=int,
        none=True,
        required=False,
        length=2,
        low=1,
        high=LARGEST_SIDE,
    ),
    "frame_rate": Rule(Real, none=True, low=1e-3, high=1e6),
    "flow_algorithm": Rule(str),
    "flow_parameters": Rule(dict),
    "flow_bound": Rule(Real, low=1e-6, high=1e6),
    "bits": Rule(int),
    "rgb_encoding": Rule(str, choices=ENCODINGS),
    "flow_encoding": Rule(str, choices=ENCODINGS),
    "quality": Rule(int),
    "version": Rule(int),
    "reader": Rule(int, required=False),
}
SMALL = 200  # px; on a smaller short side, 8 bits lose most motion


@dataclasses.dataclass(frozen=True)
class Contract:
    """A description of how the content of a cache was made.

    Flow is always computed after frames were brought to their size, between
    adjacent frames of the timeline.

    Attributes:
        streams: "rgb", "flow" or both.
        short_side: Pixels of the frames' short side.
        resize_to: (height, width) instead, aspect ratio given up, or None.
        resize_filter: "area" or "bilinear".
        cut_to: (height, width) of the middle that is kept, or None.
        frame_rate: Frames per second, None for each video's own.
        flow_algorithm: See `flow.compute`.
        flow_parameters: Parameters that differ from the algorithm's defaults.
        flow_bound: B, pixels at which displacement is clipped.
        bits: 8 or 16 bits per value of flow.
        rgb_encoding: "jpeg", "png" or "raw".
        flow_encoding: "jpeg" (8 bits only), "png" or "raw".
        quality: JPEG quality, 1 to 100.
        version: Version of the format.
        reader: Version of the reader that read the videos. A cache may hold
            files of several versions: most videos are read alike by all.
    """

    streams: tuple[str, ...] = STREAMS
    short_side: int = 256
    resize_to: tuple[int, int] | None = None
    resize_filter: str = "area"
    cut_to: tuple[int, int] | None = None
    frame_rate: float | None = 25.0
    flow_algorithm: str = "dis"
    flow_parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    flow_bound: float = 20.0
    bits: int = 8
    rgb_encoding: str = "jpeg"
    flow_encoding: str = "jpeg"
    quality: int = 95
    version: int = VERSION
    reader: int = dataclasses.field(default=READER_VERSION, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "streams", _in_order(self.streams))
        object.__setattr__(self, "flow_parameters", dict(self.flow_parameters))
        for name in ("resize_to", "cut_to"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))
        _check(self)

    @classmethod
    def of(
        cls,
        spec: ClipSpec,
        bits: int | None = None,
        encoding: str = "jpeg",
        quality: int = 95,
    ) -> "Contract":
        """Return the contract of a cache that serves `spec`.

        Args:
            spec: The clip.
            bits: 8 or 16; when None 16 below 200 px of short side, where 8
                would round most of the motion away, and 8 from there on.
            encoding: "jpeg" (flow of 16 bits becomes PNG), "png" or "raw".
            quality: JPEG quality.

        Raises:
            SpecError: If an argument is invalid.
        """
        side = min(spec.resize_to or (spec.short_side,))
        bits = bits or (16 if side < SMALL else 8)
        lossless = encoding == "jpeg" and bits == 16
        return cls(
            streams=spec.streams,
            short_side=spec.short_side,
            resize_to=spec.resize_to,
            resize_filter=spec.resize_filter,
            cut_to=spec.cut_to,
            frame_rate=spec.frame_rate,
            flow_algorithm=spec.flow_algorithm,
            flow_parameters=spec.flow_parameters,
            flow_bound=spec.flow_bound,
            bits=bits,
            rgb_encoding=encoding,
            flow_encoding="png" if lossless else encoding,
            quality=quality,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the contract as JSON-compatible values for `from_json`."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_json(cls, values: Any, where: str) -> "Contract":
        """Return the contract that a file holds.

        Raises:
            SpecError: If it is not a contract, or has a newer version.
        """
        if isinstance(values, Mapping) and (
            set(values) - set(RULES) or _newer(values.get("version", VERSION))
        ):
            raise SpecError(
                f"{where} was made by a newer keras_twostream (version "
                f"{values.get('version')}; this one reads {VERSION}). Update "
                "the package, or extract the videos again."
            )
        values = check(values, RULES, where, SpecError)
        try:
            # Version 1 of the reader did not record its version.
            return cls(**{"reader": 1, **values})
        except SpecError as error:
            raise SpecError(f"{where}: {error}") from error

    def check(self, spec: ClipSpec, where: str) -> None:
        """Refuse a clip that this cache cannot serve.

        Raises:
            SpecError: If they differ; the message names the field and both
                values.
        """
        missing = [name for name in spec.streams if name not in self.streams]
        if missing:
            raise _mismatch(where, "streams", self.streams, spec.streams)
        fields = ["frame_rate", "resize_to", "resize_filter", "cut_to"]
        if spec.resize_to is None:
            fields.append("short_side")
        if "flow" in spec.streams:
            fields += ["flow_algorithm", "flow_parameters", "flow_bound"]
        for name in fields:
            if getattr(self, name) != getattr(spec, name):
                raise _mismatch(
                    where, name, getattr(self, name), getattr(spec, name)
                )
        if "flow" in spec.streams and spec.stacking in BOTH_WAYS:
            raise SpecError(
                f"The cache {where} holds forward flow only, and "
                f"stacking={spec.stacking!r} needs backward flow too. Read the "
                "videos without a cache."
            )

    def difference(self, other: "Contract") -> str | None:
        """Return the name of the first field in which two contracts differ."""
        for field in dataclasses.fields(self):
            values = [
                getattr(contract, field.name) for contract in (self, other)
            ]
            if field.compare and values[0] != values[1]:
                return field.name
        return None


def _newer(version: Any) -> bool:
    return isinstance(version, int) and version > VERSION


def _mismatch(
    where: str, name: str, cached: object, wanted: object
) -> SpecError:
    return SpecError(
        f"The cache {where} was made with {name}={cached!r}, and the clip "
        f"needs {name}={wanted!r}. Extract the videos into another folder "
        f"with --spec {name}=..., or give the model a clip with the cache's "
        "value; weights trained on one do badly on the other."
    )


def _in_order(streams: Iterable[str]) -> tuple[str, ...]:
    """Return the streams in a cache's order, however they are fused."""
    streams = tuple(streams)
    check_stream_names(streams)
    return tuple(name for name in STREAMS if name in streams)


def _check(contract: Contract) -> None:
    choices = {
        "bits": (8, 16),
        "rgb_encoding": ENCODINGS,
        "flow_encoding": ENCODINGS,
    }
    for name, allowed in choices.items():
        check_choice(name, getattr(contract, name), allowed)
    if contract.flow_encoding == "jpeg" and contract.bits != 8:
        raise SpecError(
            "JPEG holds 8 bits. Received: flow_encoding='jpeg', "
            f"bits={contract.bits}; use 'png' or 'raw'."
        )
    check_number("quality", contract.quality, 1, 100, ends=True)
