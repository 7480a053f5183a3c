"""Positions of a body's joints in three dimensions.

Lengths are in body heights. The figure's own axes are x forward, y to its
left and z up, with the floor at z = 0. T counts frames.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_twostream.actors.body import Body

LEFT, RIGHT = 0, 1
SIDE = np.array([1.0, -1.0])  # the sign of y for the left and right limbs


_LATER: Any = None  # filled in when a pose is made


@dataclass
class Pose:
    """Movements of joints over T frames; angles in radians, zero upright.

    Attributes:
        frames: Number of frames, T.
        lean: Torso forward, (T,).
        tilt: Torso towards its left, (T,).
        nod: Head forward, added to `lean`, (T,).
        hip, spread, knee: Thigh forward, thigh sideways, knee flexion, (2, T).
        upper, fore: Unit directions of upper arm and forearm, (2, T, 3).
        lift: Height of the lowest foot above the floor, (T,).
        travel: Distance walked, forward positive, (T,).
        planted: Whether the feet keep their place on the floor.
        lead: The arm that acts, LEFT or RIGHT.
    """

    frames: int
    lean: np.ndarray = _LATER
    tilt: np.ndarray = _LATER
    nod: np.ndarray = _LATER
    hip: np.ndarray = _LATER
    spread: np.ndarray = _LATER
    knee: np.ndarray = _LATER
    upper: np.ndarray = _LATER
    fore: np.ndarray = _LATER
    lift: np.ndarray = _LATER
    travel: np.ndarray = _LATER
    planted: bool = True
    lead: int = RIGHT

    def __post_init__(self):
        for name in ("lean", "tilt", "nod", "lift", "travel"):
            if getattr(self, name) is None:
                setattr(self, name, np.zeros(self.frames))
        for name in ("hip", "spread", "knee"):
            if getattr(self, name) is None:
                setattr(self, name, np.zeros((2, self.frames)))
        for name in ("upper", "fore"):
            if getattr(self, name) is None:
                setattr(self, name, hang(np.zeros((2, self.frames))))


def hang(swing: np.ndarray, out: float | np.ndarray = 0.08) -> np.ndarray:
    """Return arm directions in planes that lie beside the body.

    Args:
        swing: (2, T) angle from straight down towards the front.
        out: Angle away from the body.

    Returns:
        (2, T, 3) unit vectors.
    """
    swing = np.asarray(swing, float)
    out = np.broadcast_to(out, swing.shape)
    return np.stack(
        [
            np.sin(swing) * np.cos(out),
            SIDE[:, None] * np.sin(out),
            -np.cos(swing) * np.cos(out),
        ],
        axis=-1,
    )


def sweep(angle: np.ndarray, azimuth: float | np.ndarray) -> np.ndarray:
    """Return arm directions at `angle` from down, towards `azimuth`.

    Args:
        angle: (2, T) angle from straight down; pi is straight up.
        azimuth: 0 for the front, pi/2 for the side of each arm.

    Returns:
        (2, T, 3) unit vectors.
    """
    angle = np.asarray(angle, float)
    azimuth = np.broadcast_to(azimuth, angle.shape)
    return np.stack(
        [
            np.sin(angle) * np.cos(azimuth),
            SIDE[:, None] * np.sin(angle) * np.sin(azimuth),
            -np.cos(angle),
        ],
        axis=-1,
    )


def joints(body: Body, pose: Pose) -> dict[str, np.ndarray]:
    """Return joint positions by name: (T, 3), or (2, T, 3) for limbs.

    The lowest ankle rests on the floor, lifted by `pose.lift`.
    """
    size = body.lengths
    spine = _spine(pose.lean, pose.tilt)
    hips = _beside(pose.tilt * 0.3, size["pelvis"])
    knees = hips + size["thigh"] * _leg(pose.hip, pose.spread)
    ankles = knees + size["shank"] * _leg(pose.hip - pose.knee, pose.spread)
    chest = size["torso"] * spine
    shoulders = chest + _beside(pose.tilt, size["shoulder"])
    elbows = shoulders + size["upper"] * pose.upper
    hands = elbows + size["fore"] * pose.fore
    gaze = pose.lean * 0.6 + pose.nod
    head = chest + 0.15 * _spine(gaze, pose.tilt * 0.5)
    toes = ankles + size["foot"] * _toe(pose)
    joints = {
        "pelvis": np.zeros_like(chest),
        "chest": chest,
        "head": head,
        "hips": hips,
        "knees": knees,
        "ankles": ankles,
        "toes": toes,
        "shoulders": shoulders,
        "elbows": elbows,
        "hands": hands,
    }
    root = _root(pose, ankles)
    return {name: points + root for name, points in joints.items()}


def _root(pose: Pose, ankles: np.ndarray) -> np.ndarray:
    """Return the pelvis's position, so that the feet stand on the floor."""
    height = pose.lift + 0.035 - ankles[..., 2].min(axis=0)
    forward = np.zeros(pose.frames)
    if pose.planted:
        forward = forward - ankles[..., 0].mean(axis=0)
    return np.stack(
        [forward + pose.travel, np.zeros(pose.frames), height], axis=-1
    )


def _spine(lean, tilt) -> np.ndarray:
    up = np.cos(lean) * np.cos(tilt)
    return np.stack([np.sin(lean), np.sin(tilt) * np.cos(lean), up], axis=-1)


def _beside(tilt, width: float) -> np.ndarray:
    across = np.stack(
        [np.zeros_like(tilt), np.cos(tilt), -np.sin(tilt)], axis=-1
    )
    return SIDE[:, None, None] * width * across


def _leg(angle, spread) -> np.ndarray:
    out = SIDE[:, None] * np.sin(spread)
    return np.stack(
        [
            np.sin(angle) * np.cos(spread),
            out,
            -np.cos(angle) * np.cos(spread),
        ],
        axis=-1,
    )


def _toe(pose: Pose) -> np.ndarray:
    """Return the toes: level on the floor, hanging a little in the swing."""
    drop = np.clip((pose.knee - pose.hip - 0.25) * 0.8, 0, 1.1)
    drop = np.where(pose.planted, 0.0, drop)
    out = SIDE[:, None] * 0.2
    return np.stack(
        [np.cos(drop), out * np.ones_like(drop), -np.sin(drop)], axis=-1
    )
