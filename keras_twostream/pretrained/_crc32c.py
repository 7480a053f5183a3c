"""CRC32C, the checksum of LevelDB's and TensorFlow's files.

Its polynomial is Castagnoli's (RFC 3720, appendix B.4). NumPy advances the
checksums of many pieces at once, which are joined afterwards: a checksum is
linear in the bytes, over the field of two elements.
"""

import functools
import math

import numpy as np

_POLYNOMIAL = 0x82F63B78  # the lowest bit is the highest power
_ONES = 0xFFFFFFFF
_CHUNK = 1 << 22  # bytes whose pieces are advanced at once


def crc32c(data: bytes | bytearray | memoryview | np.ndarray) -> int:
    """Return the checksum of bytes, for instance 0xE3069283 of b"123456789"."""
    whole = np.frombuffer(data, np.uint8)
    state = _ONES
    for start in range(0, len(whole), _CHUNK):
        part = whole[start : start + _CHUNK]
        before = np.array([state], np.uint32)
        (advanced,) = _apply(_zeros(len(part)), before)
        state = int(advanced) ^ _from_zero(part)
    return state ^ _ONES


def masked(checksum: int) -> int:
    """Return a checksum as LevelDB stores it (its util/crc32c.h)."""
    rotated = (checksum >> 15) | (checksum << 17)
    return (rotated + 0xA282EAD8) & _ONES


def _from_zero(part: np.ndarray) -> int:
    """Return the state that bytes lead to from the state of zero."""
    length = math.isqrt(len(part) - 1) + 1
    count = -(-len(part) // length)
    # Zeros in front leave the state of zero as it is.
    padded = np.zeros(count * length, np.uint8)
    padded[-len(part) :] = part
    states = np.zeros(count, np.uint32)
    for column in np.ascontiguousarray(padded.reshape(count, length).T):
        states = _TABLE[(states ^ column) & 255] ^ (states >> 8)
    return _joined(states, length)


def _joined(states: np.ndarray, length: int) -> int:
    """Return the state of pieces of one length after each other."""
    operator = _zeros(length)
    while len(states) > 1:
        if len(states) % 2:
            states = np.concatenate([np.zeros(1, np.uint32), states])
        states = _apply(operator, states[::2]) ^ states[1::2]
        operator = _apply(operator, operator)
    return int(states[0])


def _apply(operator: np.ndarray, states: np.ndarray) -> np.ndarray:
    """Return the images of states; an operator is the images of 32 bits."""
    bits = states[:, None] >> np.arange(32, dtype=np.uint32) & 1
    return np.bitwise_xor.reduce(bits * operator, axis=1)


@functools.lru_cache
def _zeros(count: int) -> np.ndarray:
    """Return the operator of bytes of zero, by squaring that of one."""
    if count == 1:
        bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
        return _TABLE[bits & 255] ^ (bits >> 8)
    half = _zeros(count // 2)
    even = _apply(half, half)
    return _apply(_zeros(1), even) if count % 2 else even


def _table() -> np.ndarray:
    """Return the state that each byte leads to from the state of zero."""
    states = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        odd = (states & 1).astype(np.uint32)
        states = (states >> np.uint32(1)) ^ odd * np.uint32(_POLYNOMIAL)
    return states


_TABLE = _table()
