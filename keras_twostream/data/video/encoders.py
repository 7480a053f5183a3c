"""The encoders that write a video, and the streams they write."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import cast

import av
from av.container import OutputContainer

from keras_twostream.errors import MissingLibraryError


def first_encoder(names: Iterable[str]) -> str:
    """Return the first of some encoders that FFmpeg has.

    Raises:
        MissingLibraryError: If FFmpeg has none of them.
    """
    names = list(names)
    for name in names:
        if name in av.codecs_available:
            return name
    raise MissingLibraryError(
        f"Writing a video needs one of the encoders {', '.join(names)}, and "
        "the FFmpeg that PyAV uses was built without them. Install the one "
        "that has them: pip install --force-reinstall --only-binary av av"
    )


def video_stream(
    container: OutputContainer,
    encoder: str,
    rate: int | Fraction,
    options: Mapping[str, str] | None = None,
) -> av.VideoStream:
    """Add a stream of pictures to a file.

    Returns:
        The stream, without a size or a pixel format yet.
    """
    chosen = None if options is None else dict(options)
    stream = container.add_stream(encoder, rate=rate, options=chosen)
    # PyAV's annotations leave open what kind of encoder a name means.
    return cast(av.VideoStream, stream)
