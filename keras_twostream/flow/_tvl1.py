"""TV-L1 optical flow in the graph, on any Keras backend.

Zach, Pock and Bischof, "A Duality Based Approach for Realtime TV-L1 Optical
Flow", 2007: coarse to fine, each level warps the second image a few times and
alternates a pointwise thresholding of the data term with a step on the dual of
the total variation. As later papers found better, images are reduced to their
texture and the gradient is the mean of both images' (Wedel et al. 2009), flow
is median filtered between warps (Sun et al. 2010), and the dual variable is
kept from warp to warp.

Inside, images are planes (B, H, W) and flow is two planes (2, B, H, W): with
the channel outermost every operation runs along contiguous rows.
"""

from typing import Any

from keras import ops

from keras_twostream.errors import SpecError, check_count, check_number
from keras_twostream.flow._loop import repeat
from keras_twostream.flow._planes import (
    central_differences,
    divergence,
    forward_differences,
    grey_planes,
    median,
    median_of_columns,
    median_of_rows,
    resample,
    warp,
)

SMALLEST_LEVEL = 16
TEXTURE = 0.95
TEXTURE_ITERATIONS = 20
TEXTURE_THETA = 16.0  # grey levels: steps below it are texture
_FLAT = 1e-6


def tvl1(
    previous: Any,
    following: Any,
    *,
    scales: int = 5,
    scale_step: float = 0.5,
    warps: int = 5,
    iterations: int = 15,
    tau: float = 0.25,
    lambda_: float = 0.6,
    theta: float = 0.3,
    texture: float = TEXTURE,
    median_filter: bool = True,
) -> Any:
    """Compute differentiable TV-L1 optical flow of a batch of image pairs.

    Args:
        previous: (B, H, W), (B, H, W, 1) or (B, H, W, 3) RGB tensor, 0..255.
        following: Tensor of the same shape.
        scales: Levels of the pyramid. No level is made smaller than 16 px.
        scale_step: Size of a level relative to the finer one.
        warps: Times the second image is warped at each level.
        iterations: Primal-dual steps after each warp.
        tau: Step on the dual variable; stable up to 0.25.
        lambda_: Weight of the data term; smaller is smoother. With
            `texture=0` images have more contrast, and 0.15 is usual.
        theta: Tightness of the coupling between data term and smoothness.
        texture: Share of an image's structure (its total variation
            denoising) that is taken away before matching, 0..1. It makes
            flow robust to shadows and changes of light.
        median_filter: Whether flow is median filtered before each warp, over
            5 x 5 pixels (the median of a row, then of a column).

    Returns:
        (B, H, W, 2) float32 displacement in pixels, x then y.

    Raises:
        SpecError: If the shapes or a parameter are not as above.
    """
    _check(previous, following)
    check_parameters(
        scales, scale_step, warps, iterations, tau, lambda_, theta, texture
    )
    steps = (tau / theta, lambda_ * theta, theta)
    images = ops.stack([grey_planes(previous), grey_planes(following)])
    if texture:
        images = textured(images, texture)
    pyramid = _pyramid(images, scales, scale_step)
    flow = ops.zeros_like(pyramid[-1])
    state = (flow, flow, flow)
    for level, images in enumerate(reversed(pyramid)):
        state = _to_level(state, images) if level else state
        state = _solve_level(
            images[0], images[1], state, warps, iterations, steps, median_filter
        )
    flow = median(state[0]) if median_filter else state[0]
    return ops.transpose(flow, (1, 2, 3, 0))


# === Images ===


def textured(images: Any, share: float) -> Any:
    """Return images (..., H, W) without `share` of their structure.

    Structure is the image after total variation denoising (Rudin, Osher and
    Fatemi 1992), solved on the dual as in Wedel et al. 2009, section 3.1.

    Raises:
        SpecError: If `share` is not between 0 and 1.
    """
    check_number("texture", share, 0, 1, ends=True)

    def structure(dual_x, dual_y):
        return images + TEXTURE_THETA * divergence(dual_x, dual_y)

    def denoise(dual_x, dual_y):
        along_x, along_y = forward_differences(structure(dual_x, dual_y))
        dual_x = dual_x + along_x * (0.25 / TEXTURE_THETA)
        dual_y = dual_y + along_y * (0.25 / TEXTURE_THETA)
        square = dual_x * dual_x + dual_y * dual_y
        shrink = ops.rsqrt(ops.maximum(square, 1.0))
        return dual_x * shrink, dual_y * shrink

    start = (ops.zeros_like(images), ops.zeros_like(images))
    dual = repeat(TEXTURE_ITERATIONS, denoise, start)
    return images - share * structure(*dual)


# === Coarse to fine ===


def _pyramid(images: Any, scales: int, scale_step: float) -> list[Any]:
    """Return images (..., H, W) at each level, finest first."""
    height, width = ops.shape(images)[-2:]
    levels = [images]
    for level in range(1, scales):
        size = [_shrunk(n, scale_step**level) for n in (height, width)]
        levels.append(resample(levels[-1], *size))
    return levels


def _shrunk(size: Any, factor: float) -> Any:
    if isinstance(size, int):
        return max(round(size * factor), min(size, SMALLEST_LEVEL))
    shrunk = ops.round(ops.cast(size, "float32") * factor)
    floor = ops.minimum(size, SMALLEST_LEVEL)
    return ops.maximum(ops.cast(shrunk, "int32"), floor)


def _to_level(state: tuple[Any, ...], images: Any) -> tuple[Any, ...]:
    """Return flow and dual variables at the size of `images`."""
    height, width = ops.shape(images)[-2:]
    old_height, old_width = ops.shape(state[0])[-2:]
    # Stacked, they share one pair of matrices: a graph is slow to trace.
    flow, dual_x, dual_y = ops.unstack(
        resample(ops.stack(state), height, width), num=3
    )
    scale_x = ops.cast(width / old_width, "float32")
    scale_y = ops.cast(height / old_height, "float32")
    flow = ops.stack([flow[0] * scale_x, flow[1] * scale_y])
    return flow, dual_x, dual_y


# === One level ===


def _solve_level(
    first: Any,
    second: Any,
    state: tuple[Any, ...],
    warps: int,
    iterations: int,
    steps: tuple[float, ...],
    median_filter: bool,
) -> tuple[Any, ...]:
    slope = ops.stack(central_differences(first))
    rows, columns = (
        (median_of_rows, median_of_columns)
        if median_filter
        else (_unchanged, _unchanged)
    )

    # The median of rows is carried from warp to warp: a compiler that sees
    # that of columns after it computes each row's five times.
    def warp_once(flow, filtered, dual_x, dual_y):
        flow = columns(filtered)
        linear = _linearise(first, second, slope, flow)
        flow, dual_x, dual_y = repeat(
            iterations,
            lambda *inner: _primal_dual_step(*linear, *inner, *steps),
            (flow, dual_x, dual_y),
        )
        return flow, rows(flow), dual_x, dual_y

    flow, dual_x, dual_y = state
    state = (flow, rows(flow), dual_x, dual_y)
    flow, _, dual_x, dual_y = repeat(warps, warp_once, state)
    return flow, dual_x, dual_y


def _unchanged(planes: Any) -> Any:
    return planes


def _linearise(
    first: Any, second: Any, slope: Any, flow: Any
) -> tuple[Any, Any, Any]:
    """Linearise the data term near `flow`: residual(w) = rest + gradient . w.

    Points that leave the image have no gradient, so that only smoothness
    moves them.
    """
    warped, inside = warp(second, flow)
    gradient = (slope + ops.stack(central_differences(warped))) * (0.5 * inside)
    rest = (warped - first) * inside - ops.sum(gradient * flow, axis=0)
    inverse = 1 / (ops.sum(ops.square(gradient), axis=0) + _FLAT)
    return gradient, rest, inverse


def _primal_dual_step(
    gradient: Any,
    rest: Any,
    inverse: Any,
    flow: Any,
    dual_x: Any,
    dual_y: Any,
    dual_step: float,
    reach: float,
    theta: float,
) -> tuple[Any, Any, Any]:
    """Threshold (Zach et al. 2007, eq. 15), then step the dual (eq. 13)."""
    residual = rest + gradient[0] * flow[0] + gradient[1] * flow[1]
    move = ops.clip(residual * inverse, -reach, reach)
    flow = flow - move * gradient + theta * divergence(dual_x, dual_y)
    along_x, along_y = forward_differences(flow)
    # 1e-12 keeps the square root differentiable where flow is constant.
    length = ops.sqrt(along_x * along_x + along_y * along_y + 1e-12)
    shrink = 1 / (1 + dual_step * length)
    dual_x = (dual_x + dual_step * along_x) * shrink
    dual_y = (dual_y + dual_step * along_y) * shrink
    return flow, dual_x, dual_y


# === Checks ===


def _check(previous: Any, following: Any) -> None:
    shape = tuple(previous.shape)
    if shape != tuple(following.shape):
        raise SpecError(
            "`previous` and `following` must have one shape. "
            f"Received: {shape} and {tuple(following.shape)}"
        )
    if len(shape) != 3 and not (len(shape) == 4 and shape[-1] in (1, 3)):
        raise SpecError(
            "Images must have shape (B, H, W), (B, H, W, 1) or (B, H, W, 3). "
            f"Received: shape={shape}"
        )


def check_parameters(
    scales: int,
    scale_step: float,
    warps: int,
    iterations: int,
    tau: float,
    lambda_: float,
    theta: float,
    texture: float,
) -> None:
    """Refuse parameters of `tvl1` that make no sense.

    Raises:
        SpecError: If a parameter makes no sense; the message gives its value.
    """
    counts = {"scales": scales, "warps": warps, "iterations": iterations}
    weights = {"tau": tau, "lambda_": lambda_, "theta": theta}
    for name, count in counts.items():
        check_count(name, count)
    for name, weight in weights.items():
        check_number(name, weight)
    check_number("texture", texture, 0, 1, ends=True)
    check_number("scale_step", scale_step, 0, 1)
