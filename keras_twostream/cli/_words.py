"""Facts about models and weights in plain words."""

from collections.abc import Sequence

from keras_twostream._printing import readable
from keras_twostream.spec import ClipSpec

_NAMED = 24  # up to this many classes are all named; of more, a few
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_ALGORITHMS = {
    "dis": "DIS",
    "farneback": "Farneback",
    "tvl1": "TV-L1",
    "tvl1_opencv": "OpenCV's TV-L1",
    "raft_small": "RAFT (small)",
    "raft_large": "RAFT (large)",
}


def knows(name: str, classes: Sequence[str]) -> str:
    """Name the actions that a model knows."""
    named = [readable(each) for each in classes]
    if len(named) > _NAMED:
        named = [*named[:6], f"... and {len(named) - 6} more"]
    return f"{name} knows {len(classes)} actions: {', '.join(named)}."


SYNTHETIC = (
    "These weights have seen only synthetic videos, drawn by a computer. On "
    "real footage take the answer as a demonstration, and train on your own "
    "videos for real use: keras-twostream train --help"
)


def scaled(number: float, unit: str = "") -> str:
    """Format a large number with three digits and a prefix: 2.48 M."""
    for size, prefix in _UNITS:
        if number >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.3g} {unit}".rstrip()


def size(number: float) -> str:
    """Format bytes in MB."""
    return f"{number / 1e6:.1f} MB"


def clip(spec: ClipSpec) -> str:
    """Describe the input of a model in a sentence or two."""
    height, width = spec.crop
    rate = "the video's own rate"
    if spec.frame_rate:
        rate = f"{spec.frame_rate:g} frames a second"
    apart = f", {spec.temporal_stride} apart" if spec.clip_length > 1 else ""
    steps = f"{spec.clip_length} step{'s' * (spec.clip_length > 1)}{apart}"
    parts = [f"{steps}, at {rate}, {width}x{height} px cut from {_frame(spec)}"]
    if "rgb" in spec.streams:
        frames = spec.frames_per_step
        parts.append(f"rgb: {frames} frame{'s' * (frames > 1)} at each step")
    if "flow" in spec.streams:
        parts.append(f"flow: {_flow(spec)}")
    spanned = ""
    if spec.frame_rate:
        spanned = f" ({spec.span() / spec.frame_rate:.1f} s)"
    parts.append(f"a clip spans {spec.span()} frames{spanned}")
    return "; ".join(parts) + "."


def _frame(spec: ClipSpec) -> str:
    if spec.resize_to:
        return f"frames stretched to {spec.resize_to[1]}x{spec.resize_to[0]} px"
    if spec.cut_to:
        height, width = spec.cut_to
        return (
            f"frames whose short side is {spec.short_side} px, their middle "
            f"{width}x{height}"
        )
    return f"frames whose short side is {spec.short_side} px"


def _flow(spec: ClipSpec) -> str:
    fields = spec.flow_length
    where = "" if spec.flow_offset == 0 else f", from frame {spec.flow_offset}"
    return (
        f"{fields} field{'s' * (fields > 1)} at each step{where}, "
        f"{_ALGORITHMS[spec.flow_algorithm]}, {spec.stacking}, "
        f"clipped at {spec.flow_bound:g} px"
    )
