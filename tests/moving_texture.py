"""Images whose flow is known: a band-limited texture, moved."""

import numpy as np


def frames_moving(dx, dy, count=2, height=64, width=80, seed=0):
    """(count, height, width, 3) uint8, moved by (dx, dy) px a frame.

    The texture is a sum of sines, so that moving by a fraction of a pixel
    is exact.
    """
    generator = np.random.default_rng(seed)
    waves = generator.normal(0, 0.35, (24, 2))
    phases = generator.uniform(0, 2 * np.pi, 24)
    rows, columns = np.indices((height, width), float)
    frames = []
    for number in range(count):
        x, y = columns - number * dx, rows - number * dy
        angles = waves[:, 0, None, None] * x + waves[:, 1, None, None] * y
        frames.append(np.sin(angles + phases[:, None, None]).sum(axis=0))
    grey = np.clip(128 + 18 * np.stack(frames), 0, 255)
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=-1)


def inner_error(flow, dx, dy, border=12):
    """Mean end-point error away from the border, in pixels."""
    inner = flow[..., border:-border, border:-border, :]
    return float(np.linalg.norm(inner - [dx, dy], axis=-1).mean())
