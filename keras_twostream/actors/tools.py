"""Objects that a hand may hold: cup, bottle, phone, flag."""

from collections.abc import Mapping

import numpy as np

from keras_twostream.actors.body import Colour
from keras_twostream.actors.shapes import Fill, View, capsule, shade

LARGE = 1.45  # true to life, a phone would be three pixels wide


def tool_fills(
    tool: str,
    flat: Mapping[str, np.ndarray],
    view: View,
    side: int,
    trim: Colour,
) -> list[Fill]:
    """Return fills of the object; cup, bottle and phone are held alike."""
    hand, head = flat["hands"][side], flat["head"]
    fore = hand - flat["elbows"][side]
    hand = hand + 0.15 * fore
    if tool == "flag":
        return _flag(hand, fore, view, trim)
    rise = np.clip((head[:, 1] - hand[:, 1]) / view.scale * 6 + 1.2, 0, 1)
    closest = np.argmin(np.abs(head - hand).sum(axis=-1))
    lean = 0.6 * rise * np.sign((head - hand)[closest, 0] + 1e-9)
    up = np.stack([np.sin(lean), -np.cos(lean)], axis=-1)
    right = np.stack([np.cos(lean), np.sin(lean)], axis=-1)
    size = LARGE * view.scale
    return _TOOLS[tool](hand, up * size, right * size, trim)


def _slab(centre, up, right, low, high, base, top):
    """Return a quadrilateral that stands on the axis `up`."""
    corners = ((low, -base), (high, -top), (high, top), (low, base))
    return np.stack([centre + h * up + w * right for h, w in corners], axis=1)


def _cup(hand, up, right, trim):
    body = trim if sum(trim) > 330 else shade(trim, 120)
    grip = _slab(hand, up, right, -0.03, 0.03, 0.055, 0.06)
    return [
        (grip, shade(body, -70)),
        (_slab(hand, up, right, -0.055, 0.06, 0.037, 0.05), shade(body, -90)),
        (_slab(hand, up, right, -0.045, 0.05, 0.03, 0.042), body),
        (_slab(hand, up, right, 0.032, 0.05, 0.04, 0.042), shade(body, 60)),
    ]


def _bottle(hand, up, right, trim):
    glass = (trim[1] // 2, 110 + trim[0] // 3, trim[2] // 2 + 60)
    return [
        (_slab(hand, up, right, -0.07, 0.06, 0.034, 0.034), shade(glass, -60)),
        (_slab(hand, up, right, -0.06, 0.055, 0.026, 0.026), glass),
        (_slab(hand, up, right, 0.055, 0.12, 0.024, 0.014), shade(glass, 30)),
        (_slab(hand, up, right, -0.03, 0.02, 0.026, 0.026), (235, 235, 225)),
    ]


def _phone(hand, up, right, trim):
    case = shade((trim[0] // 5, trim[1] // 5, trim[2] // 5), 10)
    return [
        (_slab(hand, up, right, -0.07, 0.075, 0.038, 0.038), case),
        (_slab(hand, up, right, -0.05, 0.058, 0.028, 0.028), (150, 205, 250)),
    ]


def _flag(hand, fore, view: View, trim):
    """Return a stiff, upright pennant that leans with the forearm."""
    px = view.scale
    lean = 0.5 * fore[:, 0] / np.maximum(np.linalg.norm(fore, axis=-1), 1)
    up = np.stack([lean, -np.ones_like(lean)], axis=-1)
    up = px * up / np.linalg.norm(up, axis=-1, keepdims=True)
    right = view.light * np.stack([-up[:, 1], up[:, 0]], axis=-1)
    tip = hand + 0.21 * up
    other = (255 - trim[0], 255 - trim[1], 255 - trim[2])
    cloth = _slab(tip - 0.055 * up, up, right, -0.06, 0.06, 0, 0)
    cloth[:, 2:] += 0.15 * right[:, None]
    band = np.stack([tip + h * up + w * right for h, w in _BAND], axis=1)
    edge = 0.008 * px
    return [
        (capsule(hand - 0.05 * up, tip, edge * 1.6, edge * 1.6), (70, 50, 35)),
        (cloth, trim),
        (band, other),
    ]


_BAND = ((-0.075, 0.0), (-0.035, 0.0), (-0.035, 0.15), (-0.075, 0.15))
_TOOLS = {"cup": _cup, "bottle": _bottle, "phone": _phone}
