"""Sources of region proposals by name, and selection by motion."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.detection import saliency
from keras_twostream.detection.geometry import as_boxes, clip, from_sizes
from keras_twostream.detection.windows import windows
from keras_twostream.errors import MissingLibraryError, SpecError, check_choice
from keras_twostream.regions import RegionSpec

SELECTIVE_MODES = ("fast", "quality", "single")


def selective_search(
    frame: np.ndarray, flow: np.ndarray, limit: int, *, mode: str = "fast"
) -> np.ndarray:
    """Return boxes of selective search (Uijlings et al. 2013).

    The paper uses this source.

    Args:
        frame: (H, W, 3) uint8 RGB.
        flow: Not used.
        limit: Largest number of boxes.
        mode: OpenCV's strategy, "fast", "quality" or "single".

    Returns:
        (N, 4) float32, the best first.

    Raises:
        MissingLibraryError: If OpenCV was built without `ximgproc`.
        SpecError: If there is no such mode.
    """
    check_choice("mode", mode, SELECTIVE_MODES)
    search = _segmentation().createSelectiveSearchSegmentation()
    search.setBaseImage(np.ascontiguousarray(frame[..., ::-1]))
    if mode == "single":
        search.switchToSingleStrategy()
    elif mode == "quality":
        search.switchToSelectiveSearchQuality()
    else:
        search.switchToSelectiveSearchFast()
    return from_sizes(search.process()[:limit])


def _segmentation() -> Any:
    modules = getattr(cv2, "ximgproc", None)
    segmentation = getattr(modules, "segmentation", None)
    if segmentation is None:
        raise MissingLibraryError(
            "Selective search is in OpenCV's contributed modules, which this "
            f"OpenCV ({cv2.__version__}) lacks. Use proposals='windows', "
            "which needs none of them, or: pip uninstall opencv-python && "
            "pip install opencv-contrib-python"
        )
    return segmentation


_SOURCES: Mapping[str, Callable[..., np.ndarray]] = {
    "windows": windows,
    "selective_search": selective_search,
}


def propose(
    spec: RegionSpec,
    frame: np.ndarray,
    flow: np.ndarray,
    given: np.ndarray | None = None,
) -> np.ndarray:
    """Return the regions of a frame for the network.

    Args:
        spec: The source, saliency and limit of regions.
        frame: (H, W, 3) uint8 RGB.
        flow: (H, W, 2) in pixels.
        given: (N, 4) boxes of the user, where the spec says "boxes".

    Returns:
        (N, 4) float32 distinct boxes within the frame; N may be 0.

    Raises:
        SpecError: If the source has no such parameter, or if boxes are given
            to a spec that asks for none, or missing where it asks for them.
        MissingLibraryError: If the source is not installed.
    """
    check_given(spec, given is not None)
    if given is not None:
        boxes = as_boxes(given)[: spec.limit]
    else:
        _check_parameters(spec)
        source = _SOURCES[spec.proposals]
        boxes = source(frame, flow, spec.limit, **spec.parameters)
    return salient(spec, _once(clip(boxes, *frame.shape[:2])), flow)


def salient(
    spec: RegionSpec, boxes: np.ndarray, flow: np.ndarray
) -> np.ndarray:
    """Return the boxes with enough motion.

    Args:
        spec: The saliency rule and its alpha.
        boxes: (N, 4) within the frame.
        flow: (H, W, 2) in pixels.

    Returns:
        (M, 4), in the same order.
    """
    if spec.saliency == "none" or not len(boxes):
        return boxes
    moving = saliency.magnitude(flow, stabilise=spec.stabilise)
    if spec.saliency == "mean":
        share = saliency.mean_within(boxes, moving)
    else:
        share = saliency.inclusion(boxes, saliency.salient_pixels(moving))
    return boxes[share >= spec.least_saliency]


def check_given(spec: RegionSpec, given: bool) -> None:
    """Check that boxes have the source that the detector was trained on.

    Raises:
        SpecError: If they do not.
    """
    wanted = spec.proposals
    if given and wanted != "boxes":
        raise SpecError(
            f"This detector was trained on the proposals {wanted!r}, and "
            "knows no others. Leave `boxes` out; or train a detector on boxes "
            'of the kind you have, with regions={"proposals": "boxes"}.'
        )
    if not given and wanted == "boxes":
        raise SpecError(
            "This detector was trained on boxes that its user gives, and none "
            "were given. Pass `boxes`: tracks of a tracker, or a file that "
            "keras_twostream.detection.read_boxes reads."
        )


def _check_parameters(spec: RegionSpec) -> None:
    known = list(inspect.signature(_SOURCES[spec.proposals]).parameters)[3:]
    for name in spec.parameters:
        if name not in known:
            raise SpecError(
                f"proposals={spec.proposals!r} has no parameter {name!r}. "
                f"It takes: {', '.join(known)}."
            )


def _once(boxes: np.ndarray) -> np.ndarray:
    """Return each distinct box, in order of first appearance."""
    _, first = np.unique(boxes, axis=0, return_index=True)
    return boxes[np.sort(first)]
