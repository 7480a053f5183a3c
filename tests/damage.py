"""Damage as disks, editors and mischief do it, the same for every seed."""

import contextlib
import os
import threading


@contextlib.contextmanager
def never_hangs(seconds=20):
    """End the whole run where a block takes longer: it may hold the lock."""
    end = threading.Timer(seconds, os._exit, (70,))
    end.start()
    try:
        yield
    finally:
        end.cancel()


def damaged(content, rng):
    """The bytes with some changed, dropped, doubled, or made into numbers."""
    bytes_ = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(bytes_) + 1)
        end = min(len(bytes_), place + rng.randint(0, 8))
        kind = rng.randrange(6)
        if kind == 0:
            bytes_[place:end] = rng.randbytes(rng.randint(1, 4))
        elif kind == 1:
            del bytes_[place:end]
        elif kind == 2:
            bytes_[place:place] = bytes_[place:end] * rng.randint(1, 40)
        elif kind == 3:
            text = rng.choice(
                ["-1", "999999999999", "1e999", "nan", "null", "[", '"', "{}"]
            )
            bytes_[place:end] = text.encode()
        elif kind == 4:
            bytes_[place:place] = rng.choice(b",;|\n\r\t \0\\\xff").to_bytes()
        else:
            bytes_ = bytes_[:place]
    return bytes(bytes_)
