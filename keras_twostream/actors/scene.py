"""The scene of one clip: person, place and camera motion.

Everything here is drawn before, and without regard to, the class.
"""

from dataclasses import dataclass, field

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.actors.body import Body, draw_body
from keras_twostream.actors.classes import AS_SEEN, REVERSED
from keras_twostream.actors.motions import FPS, pose_sequence
from keras_twostream.actors.pose import Pose
from keras_twostream.actors.textures import colour, draw_texture

SPLITS = ("train", "test")
_MAX_PAN = 0.45  # frame heights a second


@dataclass
class Scene:
    """The parts of a clip that do not depend on its class.

    All are drawn from one generator.

    Attributes:
        size: (height, width) in pixels.
        shortest: Least length in frames; the greatest is twice as much.
        frames: Length in frames.
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
    shortest: int = 32
    frames: int = 0
    body: Body = field(init=False)

    def __post_init__(self):
        rng, (height, width) = self.rng, self.size
        self.frames = int(rng.integers(self.shortest, 2 * self.shortest + 1))
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
        """Draw wall above and floor below, wide enough for every pan."""
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
        """Return (T, 2, 3) affine maps: shake, a little zoom and roll."""
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
        """Draw something that crosses behind the figure."""
        rng, (height, width) = self.rng, self.size
        middle = rng.uniform(0, 1, 2) * (width, 0.8 * height)
        speed = rng.normal(0, 1, 2) * (0.35 * height, 0.05 * height)
        path = middle + self.seconds[:, None] * speed
        radii = tuple(int(v * 16) for v in rng.uniform(0.03, 0.14, 2) * height)
        return np.round(path * 16).astype(int), radii, colour(rng)

    def _grain(self):
        """Return a sheet of noise, and each frame's place in it."""
        rng, (height, width) = self.rng, self.size
        sheet = rng.standard_normal((height + 32, width + 32, 1), np.float32)
        tint = rng.uniform(0.6, 1.0, (1, 1, 3)).astype(np.float32)
        sheet = np.round(self.noise * sheet * tint).astype(np.int16)
        return sheet, rng.integers(0, 32, (self.frames, 2))


def open_scene(
    label: str, seed: int, split: str, index: int, size: tuple[int, int]
) -> tuple[Scene, Pose, np.ndarray]:
    """Return the scene of a clip and the pose of its figure.

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
