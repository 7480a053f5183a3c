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

A campaign that anyone can run again shows how the package fares with damaged
files, kills, full disks and large data. The [threat model](threat_model.md)
says what the package defends against, and what it does not.

```sh
python benchmarks/campaign.py mutations WORK --tries 145
python benchmarks/campaign.py mutations WORK --tries 120 --heavy
python benchmarks/campaign.py kills WORK
python benchmarks/campaign.py kills WORK --heavy
python benchmarks/campaign.py disks WORK  # as root: it mounts small disks
python benchmarks/campaign.py sizes WORK
python benchmarks/campaign.py report WORK > docs/reliability.md
```

Every case runs in a process of its own, with limits on memory (1 GiB),
processor time (20 s) and time (90 s), and with a hook that notices when it
starts programs or writes files elsewhere. The seed is 0. Seed, format and
number determine a case, so `--only FORMAT --number N` repeats it.

{versions}.
"""
_MUTATIONS = """\
## Damaged and forged files

Bytes are flipped, files are cut, parts of other files are spliced in, lengths
are replaced by extreme numbers, words are put into text, and programs into
everything.

- *Right*: the result is that of the undamaged file.
- *As written*: the changed bytes are valid and spell another value, such as
  another pixel or another label, and that value was read.
- *Refused*: an error of the package that names the file.
- *Aside*: the file or a part of it was reported as damaged and left out.
- *Lost*: a crash, a hang, an error of another library, a program that ran, a
  file written elsewhere, a part taken for the whole, or an error that does not
  name the file.

| files | tries | right | as written | refused | aside | lost |
|---|---|---|---|---|---|---|
"""
_KILLS = """\
## Kills

The work is killed (SIGKILL) at a random instant. Then what is there is read,
the work is done again, and its result is compared with that of undisturbed
work. Each training run is killed eight times on its way.

| work | kills | lost |
|---|---|---|
"""
_DISKS = """\
## Disks, and two processes

The disk becomes full at a random point of the work, or it may only be read, or
two processes do the same work in the same folder at once. Afterwards what is
there is read, the work is done again with room on the disk, and its result is
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

All of these faults are mended, with a test for each kind. Cases that were lost
were tried again afterwards with the same damage. The tables have the last
outcome of each case; most of the others were tried just before the last faults
were mended.

- A video of which most frames could not be decoded, though its header listed
  them, was filled with copies of the last one in silence. More than a quarter
  in a row is refused now (`KERAS_TWOSTREAM_MAX_GAP`).
- Damaged scores, checkpoints of runs, features, regions of detectors and the
  records beside them raised errors of NumPy, zipfile and JSON, and a small
  .npz could unpack to gigabytes.
- Damaged lists of boxes raised errors of their parsers, and boxes up to frame
  999999999999 were interpolated until memory ended.
- A picture whose header claimed 65535x65535 pixels was decoded.
- An .npy whose header has an open bracket raised a TokenError.
- Errors about a config with a wrong hash, and about a recipe or a row of the
  catalogue with a wrong field, did not name the file.
- A TensorFlow checkpoint whose data was cut off raised an IndexError.
- A save that was killed left one of safetensors' temporary files (`.tmp` and
  six letters) behind for good.
- A server that stated a length of "../" caused a ValueError; one that stated
  none let the Hub's client wait for minutes.

## What it does not show

- A text list that was cut may be a shorter, valid list.
- Transport streams, raw H.264, GIF, and the last second of Matroska state no
  length, so nobody notices that their end is missing.
- A flipped bit in a picture makes another picture. Only hashes notice that,
  which weights and caches have; `doctor` compares a cache's.
- A file from the web whose hash nobody has published may be any file of its
  length.
- The ten thousand videos are hard links to twenty videos of three frames each,
  and were extracted as frames without flow.
- Random damage is not an attacker who knows FFmpeg's source.
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
