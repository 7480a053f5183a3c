"""The page of results, in Markdown."""

import collections
import importlib.metadata
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from campaign_parts.results import LOST, Results

_PACKAGES = ("av", "opencv-python-headless", "numpy", "pillow", "tensorflow")
_PACKAGES += ("keras", "torch", "safetensors", "huggingface-hub", "scipy")
_HEAD = """\
# Reliability

What strangers' files, kills, full disks and large data did to the package, in
a campaign that anyone can run again. What it defends against, and what not, is
said in the [threat model](threat_model.md).

```sh
python benchmarks/campaign.py mutations WORK --tries 145
python benchmarks/campaign.py mutations WORK --tries 120 --heavy
python benchmarks/campaign.py kills WORK
python benchmarks/campaign.py kills WORK --heavy
python benchmarks/campaign.py disks WORK  # as root: it mounts small disks
python benchmarks/campaign.py sizes WORK
python benchmarks/campaign.py report WORK > docs/reliability.md
```

Every case is a process of its own with limits on memory (1 GiB), processor
time (20 s) and time (90 s), and a hook that sees programs started and files
written elsewhere. Seed 0; a case is determined by seed, format and number, so
that `--only FORMAT --number N` repeats it.

{versions}.
"""
_MUTATIONS = """\
## Damaged and forged files

Bytes flipped, files cut, parts spliced in from other files, extreme numbers
where lengths stand, words put into text, and programs put into everything.

*Refused* is an error of the package that names the file; *aside*, a file or
part that is said to be damaged; *as written*, another value that the changed
bytes spell, as another pixel or another label. *Lost* is a crash, a hang, an
error of another library, a program run, a file written elsewhere, a part taken
for the whole, or an error that does not name the file.

| files | tries | right | as written | refused | aside | lost |
|---|---|---|---|---|---|---|
"""
_KILLS = """\
## Kills

SIGKILL at a random instant of the work; then what is there is read, the work
is done again, and its result is compared with that of undisturbed work. Each
training run is killed eight times on its way.

| work | kills | lost |
|---|---|---|
"""
_DISKS = """\
## Disks, and two processes

A disk that is full at a random point of the work, one that may only be read,
and two processes that do the same work on the same folder at once. Afterwards
what is there is read, the work is done again with room, and its result is
compared.

| trouble | work | tries | refused | lost |
|---|---|---|---|---|
"""
_SIZES = """\
## Large data, once each

| data | result | processor |
|---|---|---|
"""
_FAULTS = """\
## What it found

These were mended, with a test for each kind. Cases that were lost were tried
again afterwards, with the same damage; the tables hold the last outcome of
each, and most of the others are of the code just before the last mends.

- A video of which most frames could not be decoded, though its header listed
  them, was filled with copies of the last one in silence. More than a quarter
  in a row is refused now (`KERAS_TWOSTREAM_MAX_GAP`).
- Scores, checkpoints of runs, features, the regions of detectors and the
  records beside them raised errors of NumPy, zipfile and JSON, and a small
  .npz could unpack to gigabytes.
- Lists of boxes raised errors of their parsers, and a box in frame
  999999999999 was interpolated until memory ended.
- A picture whose header claimed 65535x65535 pixels was decoded.
- An .npy whose header has an open bracket raised a TokenError.
- A config with a wrong hash, a recipe and a row of the catalogue with a wrong
  field did not say which file they are.
- A TensorFlow checkpoint whose data was cut off raised an IndexError.
- A save that was killed left a file of safetensors', `.tmp` and six letters,
  for good.
- A server that stated a length of "../" caused a ValueError; one that stated
  none let the Hub's client wait for minutes.

## What it does not show

A cut text list may end in a shorter, valid one. Streams without a stated
length (transport streams, raw H.264, GIF, and Matroska within a second) end
where they end. A flipped bit in a picture is another picture: only hashes, as
weights and caches have them, notice that, and a cache's are compared by
`doctor`. A file from the web whose hash nobody has stated may be any file of
its length. Ten thousand videos are hard links to twenty of three frames each,
extracted as frames without flow. Random damage is no attacker who knows
FFmpeg's source.
"""


def page(work: Path) -> str:
    """Return the page of the results in a folder."""
    parts = [
        _HEAD.format(versions=_versions()),
        _MUTATIONS + "\n".join(_mutations(_rows(work, "mutations"))),
        _KILLS + "\n".join(_kills(_rows(work, "kills"))),
        _DISKS + "\n".join(_disks(_rows(work, "disks"))),
        _SIZES + "\n".join(_sizes(_rows(work, "sizes"))),
        _FAULTS,
    ]
    return "\n\n".join(part.strip() for part in parts)


def _rows(work: Path, part: str) -> list[dict[str, Any]]:
    path = work / f"{part}.jsonl"
    return Results(path).rows if path.exists() else []


def _groups(
    rows: Iterable[dict[str, Any]], field: str
) -> dict[str, collections.Counter]:
    groups: dict[str, collections.Counter] = {}
    for row in rows:
        verdicts = groups.setdefault(row[field], collections.Counter())
        verdicts["lost" if row["verdict"] in LOST else row["verdict"]] += 1
    return groups


def _mutations(rows: list[dict[str, Any]]) -> Iterator[str]:
    kinds = ("right", "as written", "refused", "aside", "lost")
    groups = _groups(rows, "row")
    groups["**all**"] = sum(groups.values(), collections.Counter())
    for name, verdicts in groups.items():
        numbers = " | ".join(f"{verdicts[kind]:,}" for kind in kinds)
        yield f"| {name} | {verdicts.total():,} | {numbers} |"


def _kills(rows: list[dict[str, Any]]) -> Iterator[str]:
    groups = _groups(rows, "row")
    groups["**all**"] = sum(groups.values(), collections.Counter())
    for name, verdicts in groups.items():
        yield f"| {name} | {verdicts.total()} | {verdicts['lost']} |"


def _disks(rows: list[dict[str, Any]]) -> Iterator[str]:
    for name, verdicts in _groups(rows, "sample").items():
        trouble, _, work = name.partition(": ")
        yield (
            f"| {trouble} | {work} | {verdicts.total()} | "
            f"{verdicts['refused']} | {verdicts['lost']} |"
        )


def _sizes(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        facts = row["detail"]
        text = facts
        if row["verdict"] == "right":
            text = ", ".join(f"{k} {v}" for k, v in facts.items())
        yield f"| {row['sample']} | {text} | {row['seconds']:.0f} s |"


def _versions() -> str:
    import av

    found = [f"Python {platform.python_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    decoder = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"Made with {', '.join(found)}, libavcodec {decoder}"
