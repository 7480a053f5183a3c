"""The drawn body: filled capsules with outline and light, far parts first.

A part is a list of fills, a fill is (polygons, colour) with polygons
(T, N, 2) in pixels. OpenCV takes them with four fractional bits, so limbs
move by less than a pixel a frame without jumping.
"""

from collections.abc import Iterable

import numpy as np

from keras_twostream._opencv import cv2
from keras_twostream.actors.body import Body
from keras_twostream.actors.pose import LEFT, RIGHT
from keras_twostream.actors.shapes import (
    Part,
    View,
    capsule,
    ellipse,
    shade,
)
from keras_twostream.actors.tools import tool_fills

SHIFT = 4


def figure_parts(
    body: Body,
    places: dict[str, np.ndarray],
    view: View,
    tool: str | None,
    lead: int,
    taken: int = 0,
) -> list[Part]:
    """Return all parts of a body over time.

    Args:
        body: Sizes and colours of the body.
        places: Joints in body heights, from `joints`.
        view: The camera.
        tool: "cup", "bottle", "phone", "flag" or None.
        lead: The hand that holds it.
        taken: Frame in which the hand takes it; it lies there until then.

    Returns:
        A list of (nearness (T,), fills).
    """
    flat = {name: view.project(points) for name, points in places.items()}
    near = {name: view.nearness(points) for name, points in places.items()}
    parts = [(near["chest"] * 0.3, _torso(body, flat, view))]
    parts.append((near["head"] + 0.02, _head(body, flat["head"], view)))
    for side in (LEFT, RIGHT):
        depth = near["knees"][side] * 0.7 + near["ankles"][side] * 0.3 - 0.06
        parts.append((depth, _leg(body, flat, view, side)))
        depth = near["elbows"][side] * 0.6 + near["hands"][side] * 0.4 + 0.03
        fills = _arm(body, flat, view, side)
        if tool and side == lead:
            at = np.maximum(np.arange(view.origin.shape[0]), taken)
            there = {name: points[..., at, :] for name, points in flat.items()}
            shapes = tool_fills(tool, there, view, side, body.colours["trim"])
            fills = fills[:-1] + shapes + fills[-1:]
        parts.append((depth, fills))
    return parts


def draw_parts(frame: np.ndarray, parts: Iterable[Part], time: int) -> None:
    """Paint the parts of one moment into `frame`, the nearest last."""
    for _, fills in sorted(parts, key=lambda part: part[0][time]):
        for polygons, colour in fills:
            cv2.fillConvexPoly(
                frame, polygons[time], colour, cv2.LINE_AA, SHIFT
            )


def fixed_point(parts: Iterable[Part]) -> list[Part]:
    """Return the parts with polygons as OpenCV's fixed-point integers."""
    return [
        (
            depth,
            [
                (np.round(shape * (1 << SHIFT)).astype(np.int32), colour)
                for shape, colour in fills
            ],
        )
        for depth, fills in parts
    ]


def _chain(points, radii, colours, view: View):
    """Return a limb of several bones: outlines, then fills, then light."""
    px, edge = view.scale, 0.011 * view.scale
    bones = list(
        zip(points, points[1:], radii, radii[1:], colours, strict=False)
    )
    light = np.array([view.light * 0.3, -0.15])
    fills = [
        (capsule(a, b, r * px + edge, s * px + edge), shade(colour, -55))
        for a, b, r, s, colour in bones
    ]
    for a, b, r, s, colour in bones:
        fills.append((capsule(a, b, r * px, s * px), colour))
    for a, b, r, s, colour in bones:
        move = light * r * px
        lit = capsule(a + move, b + move, 0.5 * r * px, 0.5 * s * px)
        fills.append((lit, shade(colour, 22)))
    return fills


def _leg(body: Body, flat, view: View, side: int):
    size, colours = body.lengths, body.colours
    shank = colours["trousers"] if body.legs == 1 else colours["skin"]
    points = [flat[name][side] for name in ("hips", "knees", "ankles")]
    radii = (size["thigh_r"], size["shank_r"] * 1.1, size["shank_r"] * 0.75)
    fills = _chain(points, radii, (colours["trousers"], shank), view)
    heel, toe = flat["ankles"][side], flat["toes"][side]
    down = np.array([0, 0.012 * view.scale])
    wide = 0.03 * view.scale
    shoe = capsule(heel + down, toe + down, wide, 0.8 * wide)
    sole = capsule(heel + 2 * down, toe + 2 * down, wide, 0.8 * wide)
    dark = shade(colours["shoes"], -60)
    return [*fills, (sole, dark), (shoe, colours["shoes"])]


def _arm(body: Body, flat, view: View, side: int):
    size, colours = body.lengths, body.colours
    sleeve = [
        colours["shirt"] if body.sleeves > share else colours["skin"]
        for share in (0.0, 0.5)
    ]
    points = [flat[name][side] for name in ("shoulders", "elbows", "hands")]
    radii = (size["arm_r"] * 1.15, size["arm_r"], size["arm_r"] * 0.75)
    fills = _chain(points, radii, sleeve, view)
    reach = points[2] + 0.12 * (points[2] - points[1])
    hand = capsule(points[2], reach, 0.034 * view.scale, 0.03 * view.scale)
    return [*fills, (hand, colours["skin"])]


def _torso(body: Body, flat, view: View):
    size, colours, px = body.lengths, body.colours, view.scale
    front = abs(np.sin(view.facing))
    wide = px * np.hypot(size["shoulder"] * front, size["chest_r"] * 0.75)
    low = px * np.hypot(size["pelvis"] * front, size["waist_r"] * 0.9)
    pelvis, chest = flat["pelvis"], flat["chest"]
    axis = chest - pelvis
    top, base = pelvis + 0.78 * axis, pelvis + 0.12 * axis
    edge = 0.011 * px
    neck = px * 0.032
    fills = [
        (capsule(chest, flat["head"], neck, neck), shade(colours["skin"], -25)),
        (capsule(top, base, wide + edge, low + edge), _dark(colours)),
        (capsule(pelvis, pelvis, low, low), colours["trousers"]),
        (capsule(top, base, wide, low * 0.98), colours["shirt"]),
    ]
    fills += _pattern(body, top, base, wide, low)
    move = np.array([view.light * 0.35, 0.0])
    lit = capsule(top + move * wide, base + move * low, wide / 2.4, low / 2.4)
    if body.pattern == "plain":
        fills.append((lit, shade(colours["shirt"], 16)))
    return fills


def _dark(colours):
    return shade(colours["shirt"], -55)


def _pattern(body: Body, top, base, wide, low):
    """Return stripes, a band or a second half, in the colour of the trim."""
    spans = {
        "plain": (),
        "stripes": ((0.0, 0.13), (0.33, 0.46), (0.66, 0.79)),
        "band": ((0.25, 0.5),),
        "halves": ((0.5, 1.0),),
    }[body.pattern]
    axis = base - top
    far = np.linalg.norm(axis, axis=-1, keepdims=True)
    normal = np.stack([-axis[:, 1], axis[:, 0]], -1) / np.maximum(far, 1e-6)
    fills = []
    for first, last in spans:
        rows = []
        for share, sign in ((first, 1), (first, -1), (last, -1), (last, 1)):
            half = 0.96 * (wide + share * (low - wide)) * sign
            rows.append(top + share * axis + half * normal)
        fills.append((np.stack(rows, axis=1), body.colours["trim"]))
    return fills


def _head(body: Body, centre, view: View):
    skin, hair = body.colours["skin"], body.colours["hair"]
    r = body.lengths["head"] * view.scale
    ahead, front = np.cos(view.facing), np.sin(view.facing)
    face = centre + r * np.array([0.12 * ahead, 0.1])
    fills = [(ellipse(centre, 1.08 * r, 1.3 * r), shade(skin, -60))]
    if body.hair == "long":
        back = centre + r * np.array([-0.5 * ahead, 0.55])
        fills.append((ellipse(back, (0.7 + 0.35 * front) * r, 1.25 * r), hair))
    crown = hair if body.hair != "bald" else skin
    top = centre + r * np.array([-0.22 * ahead, -0.2])
    fills.append((ellipse(top, 0.98 * r, 1.1 * r), crown))
    nose = face + r * np.array([0.85 * ahead, 0.05])
    tip = nose + r * np.array([0.3 * ahead, 0.12])
    fills.append((capsule(nose, tip, 0.24 * r, 0.2 * r), shade(skin, -12)))
    drop = face + r * np.array([0.08 * ahead, 0.12])
    fills.append((ellipse(drop, (0.8 + 0.04 * front) * r, 1.0 * r), skin))
    fills += _face(face, r, ahead, front, skin)
    if body.hair == "cap":
        fills += _cap(centre, r, ahead, body.colours["trim"])
    return fills


def _face(face, r: float, ahead: float, front: float, skin):
    """Return the eyes that can be seen, and a mouth."""
    fills = []
    for side in (-1, 1):
        turn = np.arctan2(front, ahead) + 0.5 * side
        if np.sin(turn) > -0.25:
            eye = face + r * np.array([0.72 * np.cos(turn), -0.1])
            fills.append((ellipse(eye, 0.11 * r, 0.14 * r), (30, 24, 22)))
    mouth = face + r * np.array([0.55 * ahead, 0.6])
    wide = r * np.array([0.1 + 0.16 * front, 0])
    lips = capsule(mouth - wide, mouth + wide, 0.08 * r, 0.08 * r)
    return [*fills, (lips, shade(skin, -60))]


def _cap(centre, r: float, ahead: float, colour):
    dome = centre + r * np.array([-0.1 * ahead, -0.65])
    brim = centre + r * np.array([0.35 * ahead, -0.45])
    peak = brim + r * np.array([1.0 * ahead, 0.1])
    return [
        (ellipse(dome, 1.02 * r, 0.6 * r), colour),
        (capsule(brim, peak, 0.2 * r, 0.12 * r), shade(colour, -30)),
    ]
