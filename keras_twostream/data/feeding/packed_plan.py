"""What to read for each clip of a packed cache, as plain arrays.

Numbers are drawn here; `_packed_ops` turns them into pixels without Python.
"""

import numpy as np

from keras_twostream.data.cache import Contract
from keras_twostream.data.feeding.reader import ClipReader, Draws
from keras_twostream.spec import ClipSpec


def can_plan(contract: Contract | None, spec: ClipSpec) -> bool:
    """Whether clips of a packed cache can be read without Python.

    Trajectory stacking follows points through decoded fields.
    """
    stacked = "flow" not in spec.streams or spec.stacking == "forward"
    return contract is not None and stacked


class Planner:
    """Plans clips of a reader, by (epoch, index).

    Args:
        reader: Draws the clips.
        spec: The clip.
    """

    def __init__(self, reader: ClipReader, spec: ClipSpec) -> None:
        self._reader, self._spec = reader, spec

    def block(self, pairs: np.ndarray) -> dict[str, np.ndarray]:
        """The plans of (N, 2) pairs (epoch, index), see `one`."""
        plans = [self.one(int(epoch), int(index)) for epoch, index in pairs]
        return {
            key: np.stack([plan[key] for plan in plans]) for key in plans[0]
        }

    def one(self, epoch: int, index: int) -> dict[str, np.ndarray]:
        """A plan.

        Returns:
            "pair" (2,); "label"; "planned" (), whether the rest holds; "path"
            (); "size" (2,) of the frames; "crop" (4,) top, left, height,
            width; "mirror" (); "colour" (3, 4); "rgb_rows" (K, 2) start and
            length of distinct frames, of which "rgb_count" () count, and
            "rgb_places" (T, F) in them; "flow_rows", "flow_count" and
            "flow_places" (T, L) the same, with "moving" (T, L) 0 where a
            field is at rest.
        """
        draws, label = self._reader.draws(epoch, index)
        plan = {"pair": np.array([epoch, index]), "label": label}
        if draws is None or not self._fits(draws):
            return {**self.empty(), **plan}
        plan["planned"] = np.array(True)
        plan |= _place(draws)
        if "rgb" in self._spec.streams:
            plan |= _rgb(draws)
        if "flow" in self._spec.streams:
            plan |= _flow(draws)
        return plan

    def _fits(self, draws: Draws) -> bool:
        packed, common = draws.packed.contract, self._reader.contract
        moves = draws.chosen.pairs is None or len(draws.packed.flow) > 0
        return moves and all(
            getattr(packed, name) == getattr(common, name)
            for name in ("bits", "rgb_encoding", "flow_encoding", "flow_bound")
        )

    def empty(self) -> dict[str, np.ndarray]:
        """The plan of a clip that is not planned."""
        spec = self._spec
        plan = {
            "pair": np.zeros(2, np.int64),
            "label": np.zeros_like(self._reader.labels[0]),
            "planned": np.array(False),
            "path": np.array(b"", object),
            "size": np.zeros(2, np.int32),
            "crop": np.zeros(4, np.int32),
            "mirror": np.array(False),
            "colour": np.zeros((3, 4), np.float32),
        }
        if "rgb" in spec.streams:
            places = (spec.clip_length, spec.frames_per_step)
            plan |= _rows("rgb", np.zeros((0, 2), int), np.zeros(places, int))
        if "flow" in spec.streams:
            places = (spec.clip_length, spec.flow_length)
            plan |= _rows("flow", np.zeros((0, 2), int), np.zeros(places, int))
            plan["moving"] = np.zeros(places, np.float32)
        return plan


def _place(draws: Draws) -> dict[str, np.ndarray]:
    packed, crop = draws.packed, draws.crop
    colour = np.eye(3, 4) if draws.colour is None else draws.colour
    return {
        "path": np.array(packed.path.encode(), object),
        "size": np.array(packed.size, np.int32),
        "crop": np.array(
            [crop.top, crop.left, crop.height, crop.width], np.int32
        ),
        "mirror": np.array(crop.mirror),
        "colour": colour.astype(np.float32),
    }


def _rgb(draws: Draws) -> dict[str, np.ndarray]:
    shown, places = np.unique(draws.chosen.rgb, return_inverse=True)
    rows = draws.packed.rgb[shown]
    return _rows("rgb", rows, places.reshape(draws.chosen.rgb.shape))


def _flow(draws: Draws) -> dict[str, np.ndarray]:
    starts, ends = draws.chosen.pairs[..., 0], draws.chosen.pairs[..., 1]
    moving = ends != starts
    # A field at rest is read like any other, and then multiplied by 0.
    starts = np.minimum(starts, len(draws.packed.flow) - 1)
    distinct, places = np.unique(starts, return_inverse=True)
    rows = draws.packed.flow[distinct]
    plan = _rows("flow", rows, places.reshape(starts.shape))
    return {**plan, "moving": moving.astype(np.float32)}


def _rows(
    stream: str, rows: np.ndarray, places: np.ndarray
) -> dict[str, np.ndarray]:
    """Rows padded to the most that places can name, so that plans stack."""
    padded = np.zeros((places.size, 2), np.int64)
    padded[: len(rows)] = rows
    return {
        f"{stream}_rows": padded,
        f"{stream}_count": np.array(len(rows), np.int32),
        f"{stream}_places": places.astype(np.int32),
    }
