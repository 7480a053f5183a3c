"""Frames and flow on disk, laid out as other tools do."""

import cv2
import numpy as np

LAYOUTS = (
    "dense_flow",
    "denseflow",
    "mmaction2",
    "gpu_flow",
    "charades",
    "i3d_npy",
)
# Pixels from each frame to the next, x and y: another way each time, so that
# it shows when flow is paired with the wrong frames.
STEPS = ((3, -1), (-2, 2), (1, 3), (-3, -2), (2, -2))


def moving_frames(height=64, width=80):
    """A soft texture that moves by `STEPS`."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (height // 2, width // 2, 3), np.uint8)
    texture = cv2.resize(noise, (2 * width, 2 * height))
    places = np.cumsum([(0, 0), *STEPS], axis=0)
    return np.stack(
        [
            np.roll(texture, (y, x), (0, 1))[
                height // 2 : height // 2 + height,
                width // 2 : width // 2 + width,
            ]
            for x, y in places
        ]
    )


def true_fields(height=64, width=80):
    """The flow of `moving_frames`."""
    fields = np.empty((len(STEPS), height, width, 2), np.float32)
    fields[...] = np.array(STEPS)[:, None, None]
    return fields


def write_layout(name, root, frames, fields, bound=20.0):
    """Write a video called "v", and return the path that names it."""
    levels = (fields.clip(-bound, bound) + bound) * (255 / (2 * bound))
    truncates = name == "mmaction2"
    levels = (np.floor if truncates else np.rint)(levels).astype(np.uint8)
    if name == "i3d_npy":
        return _write_arrays(root, frames, fields, bound)
    if name == "dense_flow":
        frames = frames[1:]
    rgb, x, y = _PATTERNS[name]
    first = 0 if name == "denseflow" else 1
    for i, image in enumerate(frames):
        _write(root / rgb.format(i + first), image[..., ::-1])
    for i, field in enumerate(levels):
        _write(root / x.format(i + first), field[..., 0])
        _write(root / y.format(i + first), field[..., 1])
    return (root / rgb).parent


_PATTERNS = {
    "dense_flow": (
        "v/img_{:05d}.png",
        "v/flow_x_{:05d}.png",
        "v/flow_y_{:05d}.png",
    ),
    "denseflow": (
        "v/img_{:05d}.png",
        "v/flow_x_{:05d}.png",
        "v/flow_y_{:05d}.png",
    ),
    "mmaction2": ("v/img_{:05d}.png", "v/x_{:05d}.png", "v/y_{:05d}.png"),
    "gpu_flow": (
        "jpegs_256/v/frame{:06d}.png",
        "tvl1_flow/u/v/frame{:06d}.png",
        "tvl1_flow/v/v/frame{:06d}.png",
    ),
    "charades": (
        "rgb/v/v-{:06d}.png",
        "flow/v/v-{:06d}x.png",
        "flow/v/v-{:06d}y.png",
    ),
}


def _write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def _write_arrays(root, frames, fields, bound):
    root.mkdir(parents=True, exist_ok=True)
    fields = np.concatenate([fields, fields[-1:]])  # T equal
    np.save(root / "v_rgb.npy", frames[None] / np.float32(127.5) - 1)
    np.save(root / "v_flow.npy", (fields / bound)[None])
    return root / "v_rgb.npy"
