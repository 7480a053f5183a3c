"""Examination of a packed cache."""

from pathlib import Path

from keras_twostream._files import PART
from keras_twostream.data.cache.folder import CacheFolder, Entry
from keras_twostream.data.cache.packed_file import (
    PACKED_SUFFIX,
    Packed,
    checksum,
    open_packed,
)
from keras_twostream.data.doctor.report import Report
from keras_twostream.data.lists.files import is_video
from keras_twostream.data.video import READER_VERSION, reading
from keras_twostream.errors import TwoStreamError, VideoError

AGAIN = "Delete them and run `keras-twostream extract` again: it does the rest."


def examine_cache(path: Path) -> Report:
    """Compare every packed file with the contract and the manifest."""
    report = Report(path, "packed cache")
    folder = CacheFolder(path)
    contract, entries = folder.contract(), folder.entries()
    files = {
        file.relative_to(path).as_posix().removesuffix(PACKED_SUFFIX): file
        for file in sorted(path.rglob(f"*{PACKED_SUFFIX}"))
        if not file.name.startswith(".")
    }
    report.facts["videos"] = len(files)
    if contract is None:
        report.problem(
            "The contract, cache.json, is missing.",
            "Run `keras-twostream extract` again with the same options.",
        )
    else:
        report.facts["contract"] = contract.to_json()
    _compare(report, files, entries)
    _reread(report, folder, _open(report, files, contract))
    _leftovers(report, path)
    report.problem(
        "Videos in the cache's folder: as data, each would count twice, or "
        "its class be passed over.",
        "Move the videos, or the cache, to a folder of their own.",
        sorted(file for file in path.rglob("*") if is_video(file.name)),
    )
    return report


def _compare(report: Report, files: dict, entries: dict[str, Entry]) -> None:
    report.facts["frames"] = sum(entry.frames for entry in entries.values())
    report.facts["flows"] = sum(entry.flows for entry in entries.values())
    report.facts["bytes"] = sum(entry.bytes for entry in entries.values())
    report.problem(
        "Videos of the manifest whose files are gone.",
        "Run `keras-twostream extract` again: it does those only.",
        sorted(set(entries) - set(files)),
    )
    report.remark(
        "Files that the manifest does not name: a run was interrupted.",
        "Run `keras-twostream extract` again: it takes them over.",
        sorted(set(files) - set(entries)),
    )
    report.problem(
        "Files that are not what was written: their checksum differs.",
        AGAIN,
        [
            str(file)
            for name, file in files.items()
            if name in entries and checksum(file) != entries[name].sha256
        ],
    )
    report.remark(
        "Made of videos that promise more than they hold.",
        "Get those videos again, if you can, and extract again.",
        [name for name, entry in entries.items() if entry.truncated],
    )


def _open(report: Report, files: dict[str, Path], contract) -> list[Packed]:
    """Return the files that can be opened, and report the others."""
    damaged, short, other, opened = [], [], [], []
    for file in files.values():
        try:
            packed = open_packed(file)
        except TwoStreamError:
            damaged.append(file)
            continue
        opened.append(packed)
        streams = packed.contract.streams
        if "rgb" in streams and len(packed.rgb) != packed.frames:
            short.append(file)
        elif "flow" in streams and len(packed.flow) != packed.frames - 1:
            short.append(file)
        name = contract and packed.contract.difference(contract)
        if name:
            other.append(f"{file}: {name}={getattr(packed.contract, name)!r}")
    report.problem("Files that cannot be opened.", AGAIN, damaged)
    report.problem("Files that lack frames or flow.", AGAIN, short)
    report.problem(
        "Files that were made otherwise than cache.json says.",
        "Keep caches of different kinds in folders of their own.",
        other,
    )
    return opened


def _reread(report: Report, folder: CacheFolder, files: list[Packed]) -> None:
    """Report files made by a reader that read some videos wrongly."""
    wrong, unknown = [], []
    for packed in files:
        if packed.contract.reader < READER_VERSION:
            differs = _read_otherwise(folder, packed.source)
            if differs is None:
                unknown.append(packed.path)
            elif differs:
                wrong.append(packed.path)
    report.problem(
        "Made by an older version of this library, which read these videos "
        "wrongly: some frames are copies of their neighbours, in another "
        "order, mirrored, squeezed or of another stream.",
        AGAIN,
        wrong,
    )
    report.remark(
        "Made by an older version of this library, of videos that are not at "
        "hand. Some kinds (AVI with B-frames, transport streams, pixels that "
        "are not square) it read wrongly.",
        "Where the videos were of such kinds, extract them again.",
        unknown,
    )


def _read_otherwise(folder: CacheFolder, source: str) -> bool | None:
    """Return whether today's reader differs, None if the video is missing."""
    for root in folder.roots():
        video = Path(root) / source
        if video.is_file():
            try:
                return reading.differs_from_version_1(video)
            except VideoError:
                return None
    return None


def _leftovers(report: Report, path: Path) -> None:
    report.remark(
        "Parts of files that a killed process left behind.",
        "Delete them when no extraction runs; they are never read.",
        sorted(path.rglob(f".*{PART}")),
    )
