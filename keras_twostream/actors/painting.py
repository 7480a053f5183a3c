"""The pictures of one clip: backdrop, seat, figure, lens and sensor."""

from dataclasses import dataclass, replace

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.actors.classes import (
    APPROACHING,
    FREE_HANDS,
    FRONTAL,
    REVERSED,
    SIDEWAYS,
    TOOLS,
)
from keras_twostream.actors.figure import draw_parts, figure_parts, fixed_point
from keras_twostream.actors.pose import LEFT, Pose, joints
from keras_twostream.actors.scene import Scene
from keras_twostream.actors.seat import seat_fills
from keras_twostream.actors.shapes import View

_DISTANCE = 3.0  # distance of the camera, in body heights
_NEAREST = 1.08  # how much larger than `height` a walker may become


@dataclass(frozen=True)
class Figure:
    """One person of a clip, as the moving camera sees them.

    Attributes:
        parts: Parts of the body and of the object in its hand, each
            (nearness, fills) with polygons (T, N, 2) in pixels.
        seat: The same for the seat behind.
        view: View of the body.
    """

    parts: list
    seat: list
    view: View


def paint(
    scene: Scene, pose: Pose, label: str, order: np.ndarray
) -> np.ndarray:
    """Draw every frame: backdrop, movers, seat, figure, lens and sensor."""
    figure, shifts = cast(scene, pose, label)
    figures = [in_fixed_point(filmed(figure, scene))]
    frames = [draw_frame(scene, time, figures, shifts) for time in order]
    return np.stack(frames)


def cast(
    scene: Scene, pose: Pose, label: str, taken: int = 0
) -> tuple[Figure, np.ndarray]:
    """Return a figure before it is filmed, and its backdrop's (T,) shift.

    Args:
        scene: The scene.
        pose: The poses of the figure.
        label: Its action, before any reversal of time.
        taken: Frame in which the hand takes the object.
    """
    view, backdrop_shift, aside = _arrange(scene, pose, label)
    places = joints(scene.body, replace(pose, travel=0 * pose.travel))
    tool = _tool(scene, label)
    parts = figure_parts(scene.body, places, view, tool, pose.lead, taken)
    if REVERSED.get(label, label) in APPROACHING:
        parts, view = _approaching(parts, scene, pose, view)
    fills = seat_fills(
        scene.body,
        _view_of_seat(view, scene),
        scene.seat,
        scene.seat_colour,
        aside,
    )
    seat = [(np.full(scene.frames, -9.0), fills)]
    return Figure(parts, seat, view), backdrop_shift


def filmed(figure: Figure, scene: Scene) -> Figure:
    """Return the figure as the moving camera sees it."""
    parts, seat = _filmed(figure.parts, scene), _filmed(figure.seat, scene)
    return Figure(parts, seat, figure.view)


def in_fixed_point(figure: Figure) -> Figure:
    """Return the figure in OpenCV's fixed-point numbers, ready to draw."""
    parts, seat = fixed_point(figure.parts), fixed_point(figure.seat)
    return Figure(parts, seat, figure.view)


def _tool(scene: Scene, label: str):
    """Return the object that makes the class, or one carried by chance."""
    if label in TOOLS:
        kinds = TOOLS[label]
        return scene.tool if scene.tool in kinds else kinds[0]
    idle = label in FREE_HANDS or not scene.carries
    return None if idle else scene.tool


def _arrange(scene: Scene, pose: Pose, label: str):
    """Return view, shift and seat's path; the camera pans with a walker."""
    facing = _facing(scene, pose, REVERSED.get(label, label))
    seconds = scene.seconds
    way = np.cos(facing) * scene.height * np.ptp(pose.travel)
    speed = way / np.ptp(seconds)
    pan, drift = scene.pan, 0.0
    if speed:
        pan = np.sign(speed) * abs(scene.pan)
        limit = 0.25 * scene.size[1] / np.ptp(seconds)
        drift = np.clip(speed - pan, -limit, limit)
    origin = scene.anchor + np.stack([drift * seconds, 0 * seconds], -1)
    view = View(facing, scene.pitch, scene.height, origin, scene.light)
    aside = np.zeros((scene.frames, 2))
    if pose.hip.max() < 1.3:
        aside[:, 0] += scene.seat_aside
    if speed:
        aside[:, 0] -= pan * seconds
    return view, pan * seconds, aside


def _facing(scene: Scene, pose: Pose, action: str) -> float:
    """Return the angle that the figure faces, so that its action shows."""
    if action in SIDEWAYS:
        side = 0.0 if scene.facing > 0 else np.pi
        return side + scene.facing * abs(scene.turn) * 0.6
    if action in FRONTAL:
        return np.pi / 2 + scene.turn * 1.0
    if action in APPROACHING:
        return np.pi / 2 + scene.turn * 0.7
    turn = scene.turn * np.pi / 2
    if action in TOOLS:  # the head must not hide the hand beside it
        turn = abs(turn) if pose.lead == LEFT else -abs(turn)
    return np.pi / 2 + turn


def _approaching(parts, scene: Scene, pose: Pose, view: View):
    """Return parts and view of a figure that walks towards the camera."""
    near = np.clip(pose.travel * np.sin(view.facing), -0.7, 0.7)
    growth = _DISTANCE / (_DISTANCE - near)
    growth *= min(1.0, _NEAREST / growth.max())
    feet = view.origin + (growth[:, None] - 1) * (0, 0.45 * scene.height)

    def grown(shape):
        return feet[:, None] + growth[:, None, None] * (
            shape - view.origin[:, None]
        )

    parts = [
        (depth, [(grown(shape), tint) for shape, tint in fills])
        for depth, fills in parts
    ]
    return parts, replace(view, origin=feet)


def _view_of_seat(view: View, scene: Scene) -> View:
    """Return the same view without the figure's drift, for its seat."""
    origin = np.broadcast_to(scene.anchor, (scene.frames, 2))
    return View(view.facing, view.pitch, view.scale, origin, view.light)


def _filmed(parts, scene: Scene):
    """Return the parts as the moving camera sees them."""
    middle = np.array(scene.size[::-1]) / 2
    turn = np.swapaxes(scene.camera[:, :, :2], 1, 2)
    shift = (scene.camera[:, :, 2] + middle)[:, None]
    return [
        (
            depth,
            [((shape - middle) @ turn + shift, tint) for shape, tint in fills],
        )
        for depth, fills in parts
    ]


def draw_frame(
    scene: Scene, time: int, figures: list[Figure], shifts: np.ndarray
) -> np.ndarray:
    """Draw one picture; the last of several figures stands in front.

    Returns:
        (height, width, 3) uint8.
    """
    frame = _background(scene, time, shifts[time])
    for path, radii, tint in scene.movers:
        centre = (int(path[time, 0]), int(path[time, 1]))
        cv2.ellipse(frame, centre, radii, 0, 0, 360, tint, -1, cv2.LINE_AA, 4)
    for figure in figures:
        _shadow(frame, scene, time, figure.view)
        draw_parts(frame, figure.seat, time)
        draw_parts(frame, figure.parts, time)
    return _sensor(frame, scene, time)


def _background(scene: Scene, time: int, shift: float) -> np.ndarray:
    height, width = scene.size
    tall, wide = scene.backdrop.shape[:2]
    matrix = scene.camera[time].copy()
    middle = np.array([wide / 2 + shift, tall / 2])
    matrix[:, 2] += np.array([width, height]) / 2 - matrix[:, :2] @ middle
    return cv2.warpAffine(
        scene.backdrop,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )


def _shadow(frame, scene: Scene, time: int, view: View) -> None:
    """Darken the floor under the figure."""
    middle = np.array(scene.size[::-1]) / 2
    camera = scene.camera[time]
    spot = camera[:, :2] @ (view.origin[time] - middle) + camera[:, 2] + middle
    reach = np.array([0.2, 0.05]) * view.scale
    left, top = np.maximum(spot - reach - 2, 0).astype(int)
    right, low = np.maximum(spot + reach + 3, 0).astype(int)
    region = frame[top:low, left:right]
    if not region.size:
        return
    mask = np.zeros(region.shape, np.uint8)
    centre = [int(v) for v in (spot - (left, top)) * 16]
    axes = [int(v) for v in reach * 16]
    cv2.ellipse(mask, centre, axes, 0, 0, 360, (85,) * 3, -1, cv2.LINE_AA, 4)
    cv2.multiply(region, 255 - mask, region, 1 / 255)


def _sensor(frame, scene: Scene, time: int) -> np.ndarray:
    """Add blur, exposure and grain."""
    if scene.blur > 0.05:
        frame = cv2.GaussianBlur(frame, (0, 0), scene.blur)
    frame = cv2.convertScaleAbs(frame, alpha=scene.gain)
    sheet, corners = scene.grain
    y, x = corners[time]
    height, width = scene.size
    crop = sheet[y : y + height, x : x + width]
    return cv2.add(frame, crop, dtype=cv2.CV_8U)
