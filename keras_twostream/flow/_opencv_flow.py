"""OpenCV's flow algorithms, each a function of two 8-bit grey images.

OpenCV's objects are not safe to share between threads, and costly to make:
there is one per thread and set of parameters.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.errors import (
    MissingLibraryError,
    SpecError,
    check_choice,
    check_count,
    check_number,
)

DIS_PRESETS = ("ultrafast", "fast", "medium")
# Pixels of a side below which OpenCV's DIS reads beyond its images.
_SMALLEST = {"ultrafast": 32, "fast": 32, "medium": 16}
_SHARPEST = 0.3  # px of `poly_sigma`; below, OpenCV finds no motion at all


class _PerThread(threading.local):
    """The solvers of one thread, by algorithm and parameters."""

    def __init__(self) -> None:
        self.solvers: dict[tuple[Any, ...], Any] = {}


_per_thread = _PerThread()


def dis(
    previous: np.ndarray, following: np.ndarray, preset: str = "medium"
) -> np.ndarray:
    """Compute flow by dense inverse search (Kroeger et al. 2016).

    Args:
        previous: (H, W) uint8 grey image.
        following: (H, W) uint8 grey image.
        preset: "ultrafast", "fast" or "medium".

    Returns:
        (H, W, 2) float32 flow in pixels.

    Raises:
        SpecError: If there is no such preset.
    """
    check_choice("preset", preset, DIS_PRESETS)
    solver, scale = _solver(("dis", preset), lambda: _new_dis(preset))
    # For a small image OpenCV lowers the finest scale, and would keep it low
    # for all images after that one.
    solver.setFinestScale(scale)
    height, width = previous.shape
    images = [_enlarged(x, _SMALLEST[preset]) for x in (previous, following)]
    return solver.calc(*images, None)[:height, :width]


def _new_dis(preset: str) -> tuple[Any, int]:
    """Return a solver, and the finest scale of its preset."""
    solver = cv2.DISOpticalFlow_create(DIS_PRESETS.index(preset))
    return solver, solver.getFinestScale()


def _enlarged(image: np.ndarray, smallest: int) -> np.ndarray:
    """Return the image, its edges repeated where a side is too small."""
    below, right = (max(smallest - side, 0) for side in image.shape)
    if not below and not right:
        return image
    border = (0, below, 0, right, cv2.BORDER_REPLICATE)
    return cv2.copyMakeBorder(image, *border)


def farneback(
    previous: np.ndarray,
    following: np.ndarray,
    *,
    pyramid_scale: float = 0.5,
    levels: int = 5,
    window: int = 15,
    iterations: int = 3,
    poly_n: int = 5,
    poly_sigma: float = 1.2,
    gaussian: bool = False,
) -> np.ndarray:
    """Compute flow by polynomial expansion (Farneback 2003).

    Args:
        previous: (H, W) uint8 grey image.
        following: (H, W) uint8 grey image.
        pyramid_scale: Size of a pyramid level relative to the one below it.
        levels: Number of pyramid levels.
        window: Pixels over which displacement is averaged, 2 or more.
        iterations: Iterations at each level.
        poly_n: Pixels of the neighbourhood a polynomial is fitted to.
        poly_sigma: Pixels of the Gaussian that weights it, 0.3 or more.
        gaussian: Whether the window is a Gaussian instead of a box.

    Returns:
        (H, W, 2) float32 flow in pixels.

    Raises:
        SpecError: If a parameter makes no sense. OpenCV gives no motion, or
            no number, for most such parameters.
    """
    counts = {"levels": levels, "iterations": iterations, "poly_n": poly_n}
    for name, count in counts.items():
        check_count(name, count)
    check_count("window", window, 2)
    check_number("pyramid_scale", pyramid_scale, 0, 1)
    check_number("poly_sigma", poly_sigma, _SHARPEST, ends=True)
    check_choice("gaussian", gaussian, (False, True))
    flags = cv2.OPTFLOW_FARNEBACK_GAUSSIAN if gaussian else 0
    return cv2.calcOpticalFlowFarneback(
        previous,
        following,
        None,
        pyramid_scale,
        levels,
        window,
        iterations,
        poly_n,
        poly_sigma,
        flags,
    )


def tvl1_opencv(
    previous: np.ndarray, following: np.ndarray, **parameters: Any
) -> np.ndarray:
    """Compute flow by the TV-L1 of OpenCV's contributed modules.

    Args:
        previous: (H, W) uint8 grey image.
        following: (H, W) uint8 grey image.
        **parameters: Passed to `cv2.optflow.DualTVL1OpticalFlow_create`.

    Returns:
        (H, W, 2) float32 flow in pixels.

    Raises:
        MissingLibraryError: If OpenCV was built without `optflow`.
        SpecError: If OpenCV refuses a parameter.
    """
    if not hasattr(cv2, "optflow"):
        raise MissingLibraryError(
            "OpenCV's TV-L1 is in its contributed modules, which this OpenCV "
            f"({cv2.__version__}) lacks. Use algorithm='tvl1', which needs "
            "no OpenCV, or: pip uninstall opencv-python && "
            "pip install opencv-contrib-python"
        )
    try:
        solver = _solver(
            ("tvl1_opencv", *sorted(parameters.items())),
            lambda: cv2.optflow.DualTVL1OpticalFlow_create(**parameters),
        )
        return solver.calc(previous, following, None)
    except (TypeError, cv2.error) as error:
        raise SpecError(
            f"OpenCV's TV-L1 takes no such parameters: {error}. "
            f"Received: {parameters}"
        ) from error


def _solver(key: tuple[Any, ...], create: Callable[[], Any]) -> Any:
    solvers = _per_thread.solvers
    if key not in solvers:
        solvers[key] = create()
    return solvers[key]
