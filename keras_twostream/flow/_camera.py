"""Warped flow: motion that is left when the camera stands still.

H. Wang, C. Schmid: Action Recognition with Improved Trajectories. ICCV 2013,
section 3.1; L. Wang et al.: Temporal Segment Networks. ECCV 2016, section
3.2. Two frames of a moving camera are related by a homography, which most of
their matching points agree on. The second frame is brought back by it, and
flow is computed again. The papers match SURF features, which are patented in
OpenCV; ORB's stand in for them here, beside points that flow itself matches.
"""

from collections.abc import Callable

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.flow._frames import to_grey

POINTS = 1000  # corners, and features, at most
CLOSE = 1.0  # pixels within which a point agrees
FEWEST_POINTS, FEWEST_AGREEING = 50, 25  # as yjxiong/dense_flow

Solver = Callable[[np.ndarray, np.ndarray], np.ndarray]


def without_camera(
    frames: np.ndarray, pairs: np.ndarray, fields: np.ndarray, solve: Solver
) -> np.ndarray:
    """Return the flow of pairs of frames without the camera's motion.

    Args:
        frames: (T, H, W, 3) RGB or (T, H, W) grey frames, 0..255.
        pairs: (N, 2) frame numbers, from and to.
        fields: (N, H, W, 2) flow of the pairs.
        solve: Function of such frames and pairs that gives their flow.

    Returns:
        (N, H, W, 2) float32; the flow as it was where too few points agree
        on one motion of the camera.
    """
    result, grey = np.array(fields), to_grey(frames)
    for place, (first, second) in enumerate(pairs):
        motion = camera_motion(grey[first], grey[second], fields[place])
        if motion is not None:
            following = _brought_back(frames[second], motion)
            steady = np.stack([frames[first], following])
            result[place] = solve(steady, np.array([[0, 1]]))[0]
    return result


def camera_motion(
    previous: np.ndarray, following: np.ndarray, field: np.ndarray
) -> np.ndarray | None:
    """Return the homography from one frame to the next.

    Args:
        previous: (H, W) grey image, 0..255.
        following: (H, W) grey image.
        field: (H, W, 2) flow between them.

    Returns:
        (3, 3), or None where too few points agree on one.
    """
    one, other = _as_bytes(previous), _as_bytes(following)
    matches = [_by_features(one, other), _by_flow(one, field)]
    before, after = np.concatenate(matches, axis=1)
    if len(before) < FEWEST_POINTS:
        return None
    motion, agreeing = cv2.findHomography(before, after, cv2.RANSAC, CLOSE)
    if motion is None or int(agreeing.sum()) < FEWEST_AGREEING:
        return None
    return motion


def _by_features(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return (2, N, 2) places of ORB features that match, by image."""
    finder = cv2.ORB_create(POINTS)
    here, descriptors = finder.detectAndCompute(one, None)
    there, others = finder.detectAndCompute(other, None)
    if descriptors is None or others is None:
        return np.empty((2, 0, 2), np.float32)
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True)
    matches = matcher.match(descriptors, others)
    before = [here[match.queryIdx].pt for match in matches]
    after = [there[match.trainIdx].pt for match in matches]
    return np.array([before, after], np.float32).reshape(2, -1, 2)


def _by_flow(image: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Return (2, N, 2): corners, and the places flow carries them to."""
    corners = cv2.goodFeaturesToTrack(image, POINTS, 0.001, 3)
    if corners is None:
        return np.empty((2, 0, 2), np.float32)
    before = corners.reshape(-1, 2)
    columns, rows = np.rint(before).astype(int).T
    return np.stack([before, before + field[rows, columns]])


def _brought_back(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return cv2.warpPerspective(
        image,
        motion,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _as_bytes(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    return np.rint(image).clip(0, 255).astype(np.uint8)
