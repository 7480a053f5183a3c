"""The seventeen classes, and which of them share a pose or a motion.

Four pairs share every pose: the second of each is the first played
backwards (`REVERSED`), so no single frame tells them apart. Two pairs share
every motion and differ by what is in the hand (`TOOLS`).

Labels survive a mirrored clip. Forward and backward refer to where the
figure faces; arms circle clockwise *as seen from the figure's right-hand
side*, so that a mirrored figure still circles the way its label says.
"""

CLASSES = (
    "sit_down",
    "stand_up",
    "raise_arms",
    "lower_arms",
    "walk_forward",
    "walk_backward",
    "circle_arms_clockwise",
    "circle_arms_anticlockwise",
    "drink",
    "phone",
    "wave_hand",
    "wave_flag",
    "run",
    "jump",
    "jumping_jack",
    "bend",
    "no_action",
)

REVERSED = {
    "stand_up": "sit_down",
    "lower_arms": "raise_arms",
    "walk_backward": "walk_forward",
    "circle_arms_anticlockwise": "circle_arms_clockwise",
}
TOOLS = {
    "drink": ("cup", "bottle"),
    "phone": ("phone",),
    "wave_flag": ("flag",),
}
FREE_HANDS = ("wave_hand",)  # held nothing, or it would be wave_flag's twin
FRONTAL = ("jumping_jack", "wave_hand", "wave_flag", "raise_arms")
SIDEWAYS = ("walk_forward", "run", "sit_down", "circle_arms_clockwise", "bend")
