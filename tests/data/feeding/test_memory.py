"""Memory of batches comes back, and not before its time."""

import gc
import threading
import time

import numpy as np

from keras_twostream.data.feeding import memory
from keras_twostream.data.feeding.memory import Recycled


def address(array):
    return array.ctypes.data


def test_memory_is_used_again_once_nobody_holds_it():
    recycled = Recycled()
    first = recycled.array((3, 4), np.float32)
    place = address(first)
    assert place % 64 == 0
    view = first[1]
    del first
    assert address(recycled.array((3, 4), np.float32)) != place
    del view
    gc.collect()
    again = recycled.array((4, 3), np.int32)
    assert (address(again), again.shape) == (place, (4, 3))


def test_held_arrays_never_share_memory():
    recycled = Recycled()
    held = [recycled.array((5,), np.int64) for _ in range(20)]
    for number, array in enumerate(held):
        array[:] = number
    assert [array[0] for array in held] == list(range(20))
    assert all((array == array[0]).all() for array in held)


def test_other_sizes_get_other_memory():
    recycled = Recycled()
    recycled.array((4,), np.uint8)
    assert recycled.array((400,), np.uint8).nbytes == 400


def test_threads_that_ask_at_once_get_memory_of_their_own(monkeypatch):
    recycled, held = memory.Recycled(), []
    recycled.array((8,), np.uint8)  # one block is free now
    count = memory._references

    def slowly(blocks):
        result = count(blocks)
        time.sleep(0.05)  # another thread looks meanwhile
        return result

    def ask():
        held.append(recycled.array((8,), np.uint8))

    monkeypatch.setattr(memory, "_references", slowly)
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not np.shares_memory(*held)
