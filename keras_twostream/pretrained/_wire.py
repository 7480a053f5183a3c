"""Protobuf's wire format, for files that are read without their libraries."""

from collections.abc import Iterator
from typing import NamedTuple

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


class Field(NamedTuple):
    """One field of a message.

    Attributes:
        number: The number that the message's definition gives it.
        wire: How it is written, one of the constants of this module.
        value: The number of a `VARINT`, else 0.
        data: The bytes of any other kind.
    """

    number: int
    wire: int
    value: int
    data: memoryview


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of a message, nested messages as bytes.

    Raises:
        ValueError: If a field ends beyond the message, or is of a kind that
            protobuf no longer writes.
    """
    place, none = 0, memoryview(b"")
    while place < len(message):
        key, place = varint(message, place)
        wire = key & 7
        if wire == VARINT:
            value, place = varint(message, place)
            yield Field(key >> 3, wire, value, none)
            continue
        if wire == BYTES:
            length, place = varint(message, place)
        elif wire in (EIGHT_BYTES, FOUR_BYTES):
            length = 8 if wire == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of the kind {wire}")
        if length > len(message) - place:
            raise ValueError("it is cut off")
        yield Field(key >> 3, wire, 0, message[place : place + length])
        place += length


def varint(data: memoryview, place: int) -> tuple[int, int]:
    """Return a number of up to 64 bits, and the position after it.

    Raises:
        ValueError: If the bytes end before the number does.
    """
    value = 0
    for count, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << (7 * count)
        if not byte & 0x80:
            return value, place + count + 1
    raise ValueError("a number does not end")
