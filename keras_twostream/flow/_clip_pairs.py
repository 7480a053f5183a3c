"""Pairs of a clip's frames that a flow layer computes flow between."""

from collections.abc import Sequence

from keras_twostream.errors import SpecError


def as_pairs(
    pairs: Sequence[Sequence[int]] | None,
) -> list[list[int]] | None:
    """Return pairs of frame numbers as plain lists, which JSON keeps.

    Args:
        pairs: (from, to) of each field, or None.

    Raises:
        SpecError: If they are not as above.
    """
    if pairs is None:
        return None
    plain = [[int(number) for number in pair] for pair in pairs]
    if not plain or any(len(p) != 2 or min(p) < 0 for p in plain):
        raise SpecError(
            "`pairs` must be a list of frame numbers (from, to), 0 or more. "
            f"Received: pairs={plain!r}"
        )
    return plain


def frame_numbers(
    pairs: list[list[int]] | None, length: int | None, layer: str
) -> tuple[list[int], list[int]]:
    """Return the frame numbers that fields start from and point to.

    Args:
        pairs: As `as_pairs` gives them; each frame with the next when None.
        length: Frames of the clip, None where that is not known.
        layer: Name of the layer, for errors.

    Raises:
        SpecError: If the clip is too short for the pairs.
    """
    if pairs is None:
        if length is None or length < 2:
            raise SpecError(
                f"{layer} needs clips of a fixed length of two frames or "
                f"more. Received: T={length}"
            )
        return list(range(length - 1)), list(range(1, length))
    first, second = (list(side) for side in zip(*pairs, strict=True))
    last = max(*first, *second)
    if length is not None and last >= length:
        raise SpecError(
            f"{layer}'s pairs reach frame {last}, and clips must be longer "
            f"than that. Received: T={length}"
        )
    return first, second
