"""Damage to files: by disks, by cut transfers, by editors, and on purpose."""

import random
import struct
from collections.abc import Callable

CANARY = "canary"  # the file that appears if a case runs a program

_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**32 - 1, 2**63 - 1)
_WORDS = (
    *("-1", "999999999999", "1e999", "nan", "null", "true", "[", "]", "{}"),
    *('"', "''", ",", ";", "|", "\n", "\r", "\t", " ", "\\", "\0", "../../x"),
    *("/etc/passwd", "~/x", "\x1b[2J", "\u202e", "\ufeff", "=1+1", "0.5", "é"),
)
# Each would leave the canary if anything in it were run or followed.
_TRAPS = (
    b"cos\nsystem\n(S'touch canary'\ntR.",
    b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch canary\x85R.",
    b'cbuiltins\neval\n(S\'open("canary","w")\'\ntR',
    b"ffconcat version 1.0\nfile canary\n",
    b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:canary\n",
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    b"$(touch canary)`touch canary`; touch canary #",
    b'"__reduce__": ["os.system", "touch canary"]',
    b"!!python/object/apply:os.system ['touch canary']",
)


def damaged(
    content: bytes, rng: random.Random, text: bool, others: list[bytes]
) -> tuple[str, bytes]:
    """Return the kind of a random damage, and the damaged content.

    Args:
        content: The whole file.
        rng: Source of randomness.
        text: Whether the file is text.
        others: Files to splice parts of into this one.
    """
    kinds = ["flip", "cut", "splice", "lie", "trap"]
    kind = rng.choice([*kinds, "word", "word", "word"] if text else kinds)
    data = bytearray(content)
    rounds = 1 if kind in ("cut", "trap") else rng.choice((1, 1, 2, 4, 8))
    for _ in range(rounds):
        _KINDS[kind](data, rng, others)
    return kind, bytes(data)


def _flip(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    if data:
        data[_place(data, rng)] ^= rng.randrange(1, 256)


def _cut(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _splice(data: bytearray, rng: random.Random, others: list[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 0, 4, 64, 1024)))
    source = rng.choice([bytes(data), *others])
    begin = rng.randrange(len(source) + 1)
    data[start:end] = source[begin : begin + rng.choice((0, 4, 64, 1024))]


def _lie(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    """Write an extreme or nearly right number where a length may stand."""
    width = rng.choice((1, 2, 4, 8))
    place = _place(data, rng)
    number = rng.choice((*_EXTREMES, len(data), 2 * len(data), len(data) - 1))
    code = rng.choice("<>") + "BHIQ"[(1, 2, 4, 8).index(width)]
    number &= 2 ** (8 * width) - 1
    data[place : place + width] = struct.pack(code, number)


def _word(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    end = min(len(data), start + rng.choice((0, 1, 4, 16)))
    data[start:end] = rng.choice(_WORDS).encode() * rng.choice((1, 1, 1, 50))


def _trap(data: bytearray, rng: random.Random, _: list[bytes]) -> None:
    start = rng.choice((0, 0, rng.randrange(len(data) + 1)))
    end = rng.choice((start, start, len(data)))
    data[start:end] = rng.choice(_TRAPS)


def _place(data: bytearray, rng: random.Random) -> int:
    """Return a place: half of all lie in the first or last 512 bytes."""
    size = max(1, len(data))
    near = rng.randrange(min(size, 512))
    return rng.choice((near, size - 1 - near, *[rng.randrange(size)] * 2))


_KINDS: dict[str, Callable[[bytearray, random.Random, list[bytes]], None]] = {
    "flip": _flip,
    "cut": _cut,
    "splice": _splice,
    "lie": _lie,
    "word": _word,
    "trap": _trap,
}
