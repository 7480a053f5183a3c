"""Movements of the joints by class, at random phase, speed and extent."""

from collections.abc import Callable

import numpy as np

from keras_twostream.actors.body import Body
from keras_twostream.actors.pose import LEFT, RIGHT, SIDE, Pose, hang, sweep

FPS = 25


def pose_sequence(
    label: str, frames: int, body: Body, rng: np.random.Generator
) -> Pose:
    """Return the poses of `label` over `frames` frames, in order of time.

    Args:
        label: One of `CLASSES` that is not in `REVERSED`.
        frames: Length of the clip at 25 frames a second.
        body: Body whose arms must reach the mouth.
        rng: Source of phase, speed and extent.

    Returns:
        The pose, all arrays with `frames` along time.
    """
    seconds = (np.arange(frames) - frames / 2) / FPS
    pose = _MOTIONS[label](seconds, body, rng)
    return fidget(pose, seconds, rng)


def _sit_down(seconds, body, rng):
    return sitting(_once(len(seconds), rng), rng)


def sitting(done: np.ndarray, rng: np.random.Generator) -> Pose:
    """Return the poses of somebody who sits down.

    Args:
        done: (T,) 0 while the person stands, up to 1 when they sit.
        rng: Source of extent.
    """
    pose = Pose(len(done))
    bent = rng.uniform(1.45, 1.6)
    pose.hip += done * bent
    pose.knee += done * (bent + rng.uniform(-0.1, 0.15))
    pose.lean += rng.uniform(0.35, 0.7) * np.sin(np.pi * done) + 0.05 * done
    reach = rng.uniform(0.1, 0.6) * np.sin(np.pi * done) + 0.35 * done
    pose.upper = hang(_both(reach))
    pose.fore = hang(_both(reach + 0.25 + done * rng.uniform(0.3, 0.9)))
    return pose


def picking_up(done: np.ndarray, rng: np.random.Generator) -> tuple[Pose, int]:
    """Return the poses of somebody who takes something from the floor.

    Args:
        done: (T,) 0 while the person stands, up to 1 when they stand again.
        rng: Source of extent.

    Returns:
        The pose, and the frame in which the hand takes the object.
    """
    down = np.sin(np.pi * done) ** 2
    pose = Pose(len(done), lead=int(rng.choice([LEFT, RIGHT])))
    pose.lean += down * rng.uniform(0.8, 1.1)
    pose.hip += down * rng.uniform(1.3, 1.5)
    pose.knee += down * rng.uniform(1.9, 2.1)
    arm, fore = rng.uniform(0.0, 0.15), rng.uniform(0.2, 0.5)
    lifted = done * (done > 0.5)  # the hand with the object stays raised
    reach = _both(arm + 0.3 * down)
    reach[pose.lead] += 0.25 * lifted
    pose.upper = hang(reach)
    bent = _both(arm + fore * (1 - down) + 0.3 * down)
    bent[pose.lead] += rng.uniform(0.8, 1.4) * lifted * (1 - down)
    pose.fore = hang(bent)
    return pose, int(np.argmax(down))


def _raise_arms(seconds, body, rng):
    done = _once(len(seconds), rng)
    pose = _posture(len(seconds), rng)
    low, high = rng.uniform(0.05, 0.3), rng.uniform(2.5, 3.05)
    angle = _both(low + done * (high - low))
    azimuth = rng.uniform(0.1, 1.6)
    pose.upper = sweep(angle, azimuth)
    pose.fore = sweep(np.minimum(angle + rng.uniform(0, 0.3), 3.1), azimuth)
    return pose


def _walk_forward(seconds, body, rng):
    return _gait(
        seconds,
        rng,
        rate=rng.uniform(0.75, 1.15),
        stride=rng.uniform(0.36, 0.52),
        fold=rng.uniform(0.8, 1.15),
        swing=rng.uniform(0.3, 0.65),
        elbow=rng.uniform(0.15, 0.6),
        lean=rng.uniform(-0.02, 0.1),
    )


def _run(seconds, body, rng):
    rate = rng.uniform(1.25, 1.7)
    pose = _gait(
        seconds,
        rng,
        rate=rate,
        stride=rng.uniform(0.55, 0.85),
        fold=rng.uniform(1.5, 2.0),
        swing=rng.uniform(0.6, 0.95),
        elbow=rng.uniform(1.2, 1.7),
        lean=rng.uniform(0.1, 0.28),
    )
    pose.lift += 0.035
    pose.travel *= 1.5
    return pose


def _gait(seconds, rng, rate, stride, fold, swing, elbow, lean):
    """Move the legs in opposition; a knee folds as its thigh comes forward."""
    phase = 2 * np.pi * (rate * seconds + rng.uniform())
    phase = np.stack([phase, phase + np.pi])
    pose = Pose(len(seconds), planted=False)
    pose.hip = 0.08 + stride * np.sin(phase)
    pose.knee = 0.1 + fold * np.maximum(0, np.cos(phase + 0.5)) ** 2
    pose.lean += lean
    arms = -swing * np.sin(phase)
    pose.upper = hang(arms - 0.05)
    pose.fore = hang(arms + elbow)
    pose.travel = seconds * rate * stride * 1.9
    return pose


def _circle_arms(seconds, body, rng):
    # The angle falls, from up over the front to down: clockwise as seen from
    # the figure's right.
    turns = rng.uniform(0.5, 0.95) * seconds + rng.uniform()
    lag = rng.choice([0.0, 0.5, rng.uniform(-0.1, 0.1)])
    angle = -2 * np.pi * np.stack([turns, turns + lag])
    pose = _posture(len(seconds), rng)
    out = rng.uniform(0.1, 0.4)
    pose.upper = hang(angle, out)
    pose.fore = hang(angle + rng.uniform(0.0, 0.25), out)
    return pose


def _to_the_head(seconds, body, rng):
    """Move a hand to mouth or cheek and back, for cups and phones alike."""
    near = _cycle(seconds, rng, rng.uniform(0.4, 0.65))
    near = np.clip(near * 1.9 - 0.35, 0, 1)
    pose = _posture(len(seconds), rng)
    pose.nod += -0.12 * near
    return _reach(pose, near, body, rng)


def _reach(pose: Pose, near, body, rng):
    size, side = body.lengths, SIDE[pose.lead]
    away = np.array([0.16, side * 0.02, -0.2])
    away = away + rng.uniform(-0.05, 0.05, 3)
    face = np.array([0.075, -side * (size["shoulder"] - 0.03), 0.095])
    face = face + rng.uniform(-0.015, 0.015, 3)
    target = away + near[:, None] * (face - away)
    target[:, 0] += 0.05 * np.sin(np.pi * near)
    upper, fore = _two_bones(target, size["upper"], size["fore"], side)
    pose.upper[pose.lead], pose.fore[pose.lead] = upper, fore
    return pose


def _two_bones(target, first: float, second: float, side: float):
    """Return the directions of two bones from the origin to `target` (T, 3)."""
    far = np.linalg.norm(target, axis=-1, keepdims=True)
    far = np.clip(far, 0.05, 0.99 * (first + second))
    ahead = target / np.linalg.norm(target, axis=-1, keepdims=True)
    along = (first**2 + far**2 - second**2) / (2 * far)
    rise = np.sqrt(np.maximum(first**2 - along**2, 0))
    pole = np.array([-0.3, side * 0.7, -0.8])
    pole = pole - (ahead @ pole)[:, None] * ahead
    pole /= np.linalg.norm(pole, axis=-1, keepdims=True)
    elbow = along * ahead + rise * pole
    hand = far * ahead - elbow
    return elbow / first, hand / np.linalg.norm(hand, axis=-1, keepdims=True)


def _wave(seconds, body, rng):
    pose = _posture(len(seconds), rng)
    swing = 2 * np.pi * (rng.uniform(1.0, 1.8) * seconds + rng.uniform())
    swing = rng.uniform(0.5, 0.85) * np.sin(swing)
    angle = rng.uniform(1.2, 2.0) + 0.15 * swing
    arm = sweep(_both(angle), rng.uniform(0.9, 1.5))
    fore = sweep(_both(np.pi - rng.uniform(0.0, 0.3) + swing), np.pi / 2)
    pose.upper[pose.lead] = arm[pose.lead]
    pose.fore[pose.lead] = fore[pose.lead]
    return pose


def _jump(seconds, body, rng):
    turn = (seconds * rng.uniform(1.1, 1.6) + rng.uniform()) % 1.0
    air = np.clip(np.sin(2 * np.pi * turn), 0, 1)
    crouch = np.clip(-np.sin(2 * np.pi * turn), 0, 1)
    deep = rng.uniform(0.5, 0.9)
    pose = Pose(len(seconds))
    pose.hip += 0.05 + deep * crouch + 0.15 * air
    pose.knee += 0.1 + 1.9 * deep * crouch + 0.35 * air
    pose.lean += 0.5 * deep * crouch
    pose.lift += rng.uniform(0.07, 0.13) * air
    swing = rng.uniform(0.3, 1.8) * np.sin(2 * np.pi * turn)
    pose.upper = hang(_both(swing))
    pose.fore = hang(_both(swing + rng.uniform(0.2, 0.9)))
    pose.travel = seconds * rng.choice([0.0, rng.uniform(0.1, 0.4)])
    return pose


def _jumping_jack(seconds, body, rng):
    apart = _cycle(seconds, rng, rng.uniform(0.8, 1.25))
    pose = Pose(len(seconds))
    pose.spread += 0.03 + rng.uniform(0.3, 0.48) * apart
    pose.lift += rng.uniform(0.02, 0.05) * np.sqrt(4 * apart * (1 - apart))
    angle = _both(0.15 + apart * rng.uniform(2.2, 2.85))
    pose.upper = sweep(angle, 1.5)
    pose.fore = sweep(np.minimum(angle + 0.15, 3.1), 1.5)
    return pose


def _bend(seconds, body, rng):
    down = _cycle(seconds, rng, rng.uniform(0.5, 0.8))
    pose = Pose(len(seconds))
    pose.lean += down * rng.uniform(1.2, 1.75)
    pose.hip += -0.12 * down
    pose.knee += 0.1 * down + rng.uniform(0.0, 0.25) * down
    pose.upper = hang(_both(0.3 * down))
    pose.fore = hang(_both(0.15 + 0.25 * down))
    return pose


def _no_action(seconds, body, rng):
    """Stand or sit still, perhaps with raised arms or a hand at the hip."""
    pose = _posture(len(seconds), rng)
    still = np.ones(len(seconds))
    habit = rng.integers(4)
    if habit == 0:
        angle, azimuth = (
            _both(rng.uniform(0.3, 3.0) * still),
            rng.uniform(0, 1.6),
        )
        pose.upper = sweep(angle, azimuth)
        pose.fore = sweep(np.minimum(angle + 0.2, 3.1), azimuth)
    elif habit == 1:
        pose.upper[pose.lead] = sweep(_both(0.7 * still), 1.8)[pose.lead]
        pose.fore[pose.lead] = sweep(_both(0.8 * still), -1.3)[pose.lead]
    return pose


_MOTIONS: dict[str, Callable] = {
    "sit_down": _sit_down,
    "raise_arms": _raise_arms,
    "walk_forward": _walk_forward,
    "circle_arms_clockwise": _circle_arms,
    "drink": _to_the_head,
    "phone": _to_the_head,
    "wave_hand": _wave,
    "wave_flag": _wave,
    "run": _run,
    "jump": _jump,
    "jumping_jack": _jumping_jack,
    "bend": _bend,
    "no_action": _no_action,
}


def _posture(frames: int, rng) -> Pose:
    """Stand, or sit in three clips of ten, with hanging arms."""
    pose = Pose(frames, lead=int(rng.choice([LEFT, RIGHT])))
    stance = rng.uniform(0.02, 0.12)
    pose.spread += stance
    sits = rng.uniform() < 0.3
    if sits:
        pose.hip += rng.uniform(1.45, 1.6)
        pose.knee += rng.uniform(1.45, 1.65)
    loose = rng.uniform(0.0, 0.15) + 0.35 * sits
    pose.upper = hang(_both(np.full(frames, loose)))
    bent = loose + rng.uniform(0.1, 0.4) + 0.6 * sits
    pose.fore = hang(_both(np.full(frames, bent)))
    return pose


def _once(frames: int, rng) -> np.ndarray:
    """Return a ramp from 0 to 1 over the clip, with a rest at both ends."""
    rest = rng.uniform(0.0, 0.12, 2) * frames
    time = (np.arange(frames) - rest[0]) / (frames - 1 - rest.sum())
    time = np.clip(time, 0, 1)
    soft = rng.uniform(0.3, 1.0)
    return time + soft * (time**2 * (3 - 2 * time) - time)


def _cycle(seconds, rng, rate: float) -> np.ndarray:
    """Return a wave from 0 to 1 and back, `rate` a second, at random phase."""
    return 0.5 - 0.5 * np.cos(2 * np.pi * (rate * seconds + rng.uniform()))


def _both(values) -> np.ndarray:
    return np.stack([values, values]).astype(float)


def fidget(pose: Pose, seconds: np.ndarray, rng: np.random.Generator) -> Pose:
    """Add the small slow movements that every body makes.

    Args:
        pose: The pose, changed in place.
        seconds: (T,) time of each frame.
        rng: Source of their rate and size.
    """

    def sway(size):
        rate, phase = rng.uniform(0.2, 0.8), rng.uniform(0, 2 * np.pi)
        return size * np.sin(2 * np.pi * rate * seconds + phase)

    pose.lean = pose.lean + sway(rng.uniform(0.01, 0.05))
    pose.tilt = pose.tilt + sway(rng.uniform(0.01, 0.05))
    pose.nod = pose.nod + sway(rng.uniform(0.02, 0.15))
    for arms in (pose.upper, pose.fore):
        for hand in (LEFT, RIGHT):
            arms[hand] += np.stack([sway(0.04) for _ in range(3)], axis=-1)
        arms /= np.linalg.norm(arms, axis=-1, keepdims=True)
    return pose
