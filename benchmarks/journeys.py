"""Files of the package that a call passes: `docs/house.md`'s last column.

    python benchmarks/journeys.py

A file counts when at least one of its functions runs, in any thread, on the
second of two equal calls: what is done once for a process is not on the way.
"""

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from keras_twostream import _acceleration

_acceleration.prefer_fast()

import keras_twostream as kts
from keras_twostream import actors
from keras_twostream.data.cache import Contract

PACKAGE = str(Path(kts.__file__).parent)
SHIPPED = "spatiotemporal_resnet.actors"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, call in journeys(Path(folder)).items():
            call(0)
            files = passed(lambda call=call: call(1))
            print(f"| {name} | {len(files)} |", flush=True)


def journeys(folder: Path) -> dict[str, Callable[[int], object]]:
    """Return calls by name, which take 0 at first and 1 then."""
    actors.generate(folder / "videos", 4, progress=False)
    path = str(folder / "videos" / "train.json")
    videos = kts.data.read_annotations(path)
    model = kts.load(SHIPPED)
    spec = kts.clip_spec(model)
    return {
        "load": lambda turn: kts.load(SHIPPED),
        "predict": lambda turn: kts.predict(
            videos.paths[turn], model, engine="keras"
        ),
        "a list to the first batch": lambda turn: next(
            iter(
                kts.data.video_dataset(kts.data.read_annotations(path), spec, 4)
            )
        ),
        "extract": lambda turn: kts.data.extract(
            path, folder / f"cache{turn}", Contract.of(spec), workers=1
        ),
    }


def passed(call: Callable[[], object]) -> set[str]:
    """Return the package's files of which a function ran."""
    files: set[str] = set()

    def note(frame, event: str, value: object) -> None:
        code = frame.f_code
        ours = code.co_filename.startswith(PACKAGE)
        if event == "call" and ours and code.co_name != "<module>":
            files.add(code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return files


if __name__ == "__main__":
    main()
