"""Which encoder writes a video."""

from collections.abc import Iterable

import av

from keras_twostream.errors import MissingLibraryError


def first_encoder(names: Iterable[str]) -> str:
    """The first of some encoders that FFmpeg has.

    Args:
        names: As FFmpeg calls them: "libx264", ...

    Raises:
        MissingLibraryError: If it has none of them.
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
