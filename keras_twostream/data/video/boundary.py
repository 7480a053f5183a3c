"""The one boundary between a foreign file and the errors of this library."""

import contextlib
import os
from collections.abc import Iterator

from keras_twostream.errors import TwoStreamError, VideoError


@contextlib.contextmanager
def one_file(path: str | os.PathLike) -> Iterator[None]:
    """Turn any error of reading one file into a `VideoError`.

    Files come from anywhere, and the libraries that decode them raise many
    kinds of errors. One kind lets callers set a bad file aside and count it,
    whatever its fault. Errors of this library pass unchanged.

    Raises:
        VideoError: Instead of any other `Exception` from within.
    """
    try:
        yield
    except TwoStreamError:
        raise
    except MemoryError as error:
        raise VideoError(
            f"Cannot read {path}: there is not enough memory for it. Ask for "
            "fewer or smaller frames."
        ) from error
    except Exception as error:
        raise VideoError(
            f"Cannot read {path}: {reason(error)}. Try to play the file, or "
            "download it again."
        ) from error


def reason(error: Exception) -> str:
    """Return the system's message of an error, or else its type and text."""
    words = getattr(error, "strerror", None)
    return words or f"{type(error).__name__}: {error}"
