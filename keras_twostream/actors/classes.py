"""The seventeen classes, and the pairs that share a pose or a motion.

Four pairs share every pose: the second of each is the first played
backwards (`REVERSED`), so no single frame tells them apart. Two pairs share
every motion and differ by the object in the hand (`TOOLS`).

Walkers face the camera, so that they grow or shrink. Arms circle clockwise
as the camera sees them: of all labels this pair alone does not survive a
mirrored clip.
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
    "pick_up": ("cup", "bottle"),
}
FREE_HANDS = ("wave_hand",)  # empty, or it would be wave_flag's twin
FRONTAL = ("jumping_jack", "wave_hand", "wave_flag", "raise_arms")
APPROACHING = ("walk_forward",)
SIDEWAYS = ("run", "sit_down", "circle_arms_clockwise", "bend", "pick_up")
AS_SEEN = ("circle_arms_clockwise",)  # clockwise as the camera sees it

# Changes of state, and what each is when played backwards: `render_change`.
CHANGES = ("sit_down", "stand_up", "pick_up", "put_down")
CHANGES_REVERSED = {"stand_up": "sit_down", "put_down": "pick_up"}
