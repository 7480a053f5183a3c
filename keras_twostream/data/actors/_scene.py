"""One clip: who, where, how the camera moves, and the picture itself.

Everything here is drawn before, and without regard to, the class.
"""

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from keras_twostream.data.actors._body import Body, draw_body
from keras_twostream.data.actors._classes import (
    APPROACHING,
    AS_SEEN,
    FREE_HANDS,
    FRONTAL,
    REVERSED,
    SIDEWAYS,
    TOOLS,
)
from keras_twostream.data.actors._figure import (
    draw_parts,
    figure_parts,
    fixed_point,
)
from keras_twostream.data.actors._motions import FPS, pose_sequence
from keras_twostream.data.actors._pose import LEFT, Pose, joints
from keras_twostream.data.actors._seat import seat_fills
from keras_twostream.data.actors._shapes import View
from keras_twostream.data.actors._textures import colour, draw_texture

SPLITS = ("train", "test")
_MAX_PAN = 0.45  # frame heights a second
_DISTANCE = 3.0  # of the camera, in body heights
_NEAREST = 1.08  # how much larger than `height` a walker may become


@dataclass
class Scene:
    """What a clip has whatever its class; drawn from one generator.

    Attributes:
        size: (height, width) in pixels.
        frames: Length.
        body: The person.
        facing: -1 or 1, towards the left or right of the picture.
        turn: Share of the range of viewpoints, -1..1.
        height: Body height in pixels.
        anchor: Pixel position of the feet in the middle of the clip.
        pan: Speed of the background, pixels a second, signed.
        crf: x264's rate factor.
    """

    size: tuple[int, int]
    split: str
    rng: np.random.Generator = field(repr=False)
    frames: int = 0
    body: Body = None

    def __post_init__(self):
        rng, (height, width) = self.rng, self.size
        self.frames = int(rng.integers(32, 65))
        self.crf = int(rng.integers(18, 35))
        self.body = draw_body(self.split, rng)
        self.facing = int(rng.choice([-1, 1]))
        self.turn = rng.uniform(-1, 1)
        self.height = rng.uniform(0.6, 0.8) * height
        self.anchor = np.array(
            [
                width * (0.5 + rng.uniform(-0.17, 0.17)),
                height * rng.uniform(0.9, 0.98),
            ]
        )
        self.pan = rng.choice([-1, 1]) * rng.uniform(0, _MAX_PAN) * height
        self.pitch = rng.uniform(0, 0.22)
        self.light = int(rng.choice([-1, 1]))
        self.seat = str(rng.choice(["chair", "stool", "box"]))
        self.seat_colour = colour(rng)
        self.seat_aside = rng.uniform(-0.7, 0.7) * width * rng.integers(0, 2)
        self.tool = str(rng.choice(["cup", "bottle", "phone", "flag"]))
        self.carries = rng.uniform() < 0.35
        self.noise = rng.uniform(0, 9)
        self.blur = max(0.0, rng.uniform(-0.6, 0.8)) * height / 120
        self.gain = rng.uniform(0.75, 1.2)
        self.backdrop = self._backdrop()
        self.camera = self._camera()
        self.movers = [self._mover() for _ in range(rng.integers(0, 3))]
        self.grain = self._grain()

    @property
    def seconds(self) -> np.ndarray:
        """Time of each frame, zero in the middle of the clip."""
        return (np.arange(self.frames) - self.frames / 2) / FPS

    def _backdrop(self) -> np.ndarray:
        """Wall above, floor below, wide enough for every pan."""
        rng, (height, width) = self.rng, self.size
        tall = int(1.3 * height)
        wide = int(1.3 * width + 2 * _MAX_PAN * height * 64 / FPS / 2)
        picture = draw_texture(self.split, tall, wide, rng)
        line = self.anchor[1] - rng.uniform(0.02, 0.14) * height
        line = int(line + 0.15 * height)
        floor = draw_texture(self.split, tall, wide, rng)
        floor = cv2.resize(floor[: tall // 2], (wide, tall - line))
        picture[line:] = floor
        picture[line : line + max(1, height // 80)] //= 2
        return picture

    def _camera(self) -> np.ndarray:
        """(T, 2, 3) affine: shake, a little zoom and roll."""
        rng, seconds = self.rng, self.seconds
        unsteady = rng.uniform(0, 1) * self.size[0] / 120

        def sway(size, slow, fast):
            total = np.zeros(self.frames)
            for _ in range(2):
                rate, phase = rng.uniform(slow, fast), rng.uniform(0, 6.283)
                total += size * np.sin(2 * np.pi * rate * seconds + phase)
            return total

        shift = [unsteady * sway(0.9, 0.5, 4.5) for _ in range(2)]
        zoom = 1 + sway(0.02, 0.1, 0.6)
        roll = unsteady * sway(0.007, 0.3, 2.0)
        cos, sin = zoom * np.cos(roll), zoom * np.sin(roll)
        rows = [[cos, -sin, shift[0]], [sin, cos, shift[1]]]
        return np.moveaxis(np.array(rows), -1, 0)

    def _mover(self):
        """Something that crosses behind the figure."""
        rng, (height, width) = self.rng, self.size
        middle = rng.uniform(0, 1, 2) * (width, 0.8 * height)
        speed = rng.normal(0, 1, 2) * (0.35 * height, 0.05 * height)
        path = middle + self.seconds[:, None] * speed
        radii = tuple(int(v * 16) for v in rng.uniform(0.03, 0.14, 2) * height)
        return np.round(path * 16).astype(int), radii, colour(rng)

    def _grain(self):
        """A sheet of noise, and where each frame looks into it."""
        rng, (height, width) = self.rng, self.size
        sheet = rng.standard_normal((height + 32, width + 32, 1), np.float32)
        tint = rng.uniform(0.6, 1.0, (1, 1, 3)).astype(np.float32)
        sheet = np.round(self.noise * sheet * tint).astype(np.int16)
        return sheet, rng.integers(0, 32, (self.frames, 2))


def open_scene(label, seed: int, split: str, index: int, size) -> tuple:
    """The scene of a clip and what its figure does.

    Returns:
        (scene, pose, order): frames are to be drawn in `order`.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), index])
    setting, acting = rng.spawn(2)
    scene = Scene(size, split, setting)
    base = REVERSED.get(label, label)
    pose = pose_sequence(base, scene.frames, scene.body, acting)
    order = np.arange(scene.frames)
    backwards = label in REVERSED
    if base in AS_SEEN and scene.facing < 0:  # its left side is seen
        backwards = not backwards
    return scene, pose, order[::-1] if backwards else order


def paint(scene: Scene, pose: Pose, label: str, order) -> np.ndarray:
    """Draw every frame: backdrop, movers, seat, figure, lens and sensor."""
    view, backdrop_shift, aside = _arrange(scene, pose, label)
    places = joints(scene.body, replace(pose, travel=0 * pose.travel))
    tool = _tool(scene, label)
    parts = figure_parts(scene.body, places, view, tool, pose.lead)
    if REVERSED.get(label, label) in APPROACHING:
        parts, view = _approaching(parts, scene, pose, view)
    seat = seat_fills(
        scene.body,
        _view_of_seat(view, scene),
        scene.seat,
        scene.seat_colour,
        aside,
    )
    parts = fixed_point(_filmed(parts, scene))
    seat = fixed_point(_filmed([(np.full(scene.frames, -9.0), seat)], scene))
    frames = [
        _frame(scene, time, parts, seat, view, backdrop_shift) for time in order
    ]
    return np.stack(frames)


def _tool(scene: Scene, label: str):
    """The object that makes the class, or one carried by chance."""
    if label in TOOLS:
        kinds = TOOLS[label]
        return scene.tool if scene.tool in kinds else kinds[0]
    idle = label in FREE_HANDS or not scene.carries
    return None if idle else scene.tool


def _arrange(scene: Scene, pose: Pose, label: str):
    """Viewpoint and paths: a walker's camera follows, at the common pan."""
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
    """From the side where the action shows best there, and so on."""
    if action in SIDEWAYS:
        side = 0.0 if scene.facing > 0 else np.pi
        return side + scene.facing * abs(scene.turn) * 0.6
    if action in FRONTAL:
        return np.pi / 2 + scene.turn * 1.0
    if action in APPROACHING:
        return np.pi / 2 + scene.turn * 0.7
    turn = scene.turn * np.pi / 2
    if action in TOOLS:  # the hand at the head must not hide behind it
        turn = abs(turn) if pose.lead == LEFT else -abs(turn)
    return np.pi / 2 + turn


def _approaching(parts, scene: Scene, pose: Pose, view: View):
    """Parts and view of a figure that walks towards the camera."""
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
    """The same view of what does not drift with the figure."""
    origin = np.broadcast_to(scene.anchor, (scene.frames, 2))
    return View(view.facing, view.pitch, view.scale, origin, view.light)


def _filmed(parts, scene: Scene):
    """Parts as the moving camera sees them."""
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


def _frame(scene: Scene, time: int, parts, seat, view: View, shifts):
    frame = _background(scene, time, shifts[time])
    for path, radii, tint in scene.movers:
        centre = (int(path[time, 0]), int(path[time, 1]))
        cv2.ellipse(frame, centre, radii, 0, 0, 360, tint, -1, cv2.LINE_AA, 4)
    _shadow(frame, scene, time, view)
    draw_parts(frame, seat, time)
    draw_parts(frame, parts, time)
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
    """Darkens the floor under the figure."""
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
    """Blur, exposure and grain."""
    if scene.blur > 0.05:
        frame = cv2.GaussianBlur(frame, (0, 0), scene.blur)
    frame = cv2.convertScaleAbs(frame, alpha=scene.gain)
    sheet, corners = scene.grain
    y, x = corners[time]
    height, width = scene.size
    crop = sheet[y : y + height, x : x + width]
    return cv2.add(frame, crop, dtype=cv2.CV_8U)
