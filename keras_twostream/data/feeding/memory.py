"""Reusable memory for batches.

A fresh page costs the kernel a fault and zeroing: for a batch of flow that
adds up to as much as decoding it.
"""

import sys
import threading

import numpy as np

_ALIGNED = 64  # bytes; TensorFlow adopts arrays so aligned
_KEPT = 12  # blocks of memory at most: two streams of six batches
_KEPT_BY_MALLOC = 31 * 2**20  # just below the most that glibc accepts


class Recycled:
    """A pool of memory whose arrays return to it once unreferenced."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        # References to a block held by one list only; varies with Python.
        self._alone = _references([np.empty(0, np.uint8)])[0]
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        """Return an uninitialised array that TensorFlow need not copy."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with self._lock:
            block = self._unused(size + _ALIGNED)
            start = -block.ctypes.data % _ALIGNED
            return block[start : start + size].view(dtype).reshape(shape)

    def _unused(self, size: int) -> np.ndarray:
        references = _references(self._blocks)
        for block, count in zip(self._blocks, references, strict=True):
            # Every view of a block, even a tensor's, refers to the block.
            if block.size == size and count == self._alone:
                return block
        block = np.empty(size, np.uint8)
        if len(self._blocks) < _KEPT:
            self._blocks.append(block)
        return block


def _references(blocks: list[np.ndarray]) -> list[int]:
    return [sys.getrefcount(block) for block in blocks]


def keep_freed_memory() -> None:
    """Let glibc keep and reuse memory that decoding frees.

    It keeps blocks up to the size of the largest one freed so far. Without
    glibc this does nothing.
    """
    np.empty(_KEPT_BY_MALLOC, np.uint8)
