"""Lists, boxes, recipes, caches and runs: what the package reads as text."""

import functools
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from campaign_parts import videos
from campaign_parts.sample import Reading, Sample, digest
from keras_twostream.data.cache import CacheFolder, Contract, PackedSource
from keras_twostream.data.doctor import examine
from keras_twostream.data.extraction import extract
from keras_twostream.data.lists.annotations import read_annotations
from keras_twostream.detection.box_lists import read_boxes
from keras_twostream.training import _recipes

_CVAT = (
    "<annotations><meta><task><id>1</id><source>v.mp4</source></task></meta>"
    '<track id="0" label="run"><box frame="3" outside="0" xtl="1" ytl="2" '
    'xbr="9" ybr="9"/><box frame="9" outside="1" xtl="1" ytl="2" xbr="9" '
    'ybr="9"/></track></annotations>'
)
_LISTS = {
    "videos": ("l.txt", "run/a 1.mp4 0\nwalk/b.mp4 1\nwalk/c.mp4 1 2\n"),
    "gluoncv": ("l.txt", "run/a 1.mp4 40 0\nwalk/b.mp4 51 1\n"),
    "rawframes": ("l.txt", "run/a 1 120 0\nwalk/b 80 1\n"),
    "csv": (
        "l.csv",
        (
            'path,label,split,start,end\nrun/a.mp4,"run, fast",train,0.5,3\n'
            "walk/b.mp4,walk|run,test,1,2\n"
        ),
    ),
    "tsv": ("l.csv", "path\tlabel\nrun/a.mp4\trun\nwalk/b.mp4\twalk\n"),
    "kinetics": (
        "l.csv",
        (
            "label,youtube_id,time_start,time_end,split\n"
            'running,abc,1,11,train\n"walking, slowly",xyz,0,10,val\n'
        ),
    ),
    "json": (
        "l.json",
        (
            '{"classes": ["run", "walk"], "items": [{"path": "a.mp4", "label": '
            '"run", "split": "train", "start": 1, "end": 2.5}, {"path": '
            '"b.mp4", "label": [0, "walk"]}, {"path": "c.mp4", "label": null}]}'
        ),
    ),
    "ucf101": ("classInd.txt", "1 Archery\n2 Biking\n"),
    "hmdb51": ("wave_test_split1.txt", "a b.avi 1 \nc.avi 2 \nd.avi 0 \n"),
    "cvat": ("l.xml", _CVAT),
}
_COCO = {
    "videos": [{"id": 1, "name": "a.mp4"}],
    "categories": [{"id": 3, "name": "jump"}],
    "images": [
        {"id": 10 + i, "video_id": 1, "frame_index": i} for i in range(2)
    ],
    "annotations": [
        {
            "id": i,
            "image_id": 10 + i,
            "category_id": 3,
            "track_id": 0,
            "bbox": [4, 5, 10, 20],
        }
        for i in range(2)
    ],
}
_BOXES = {
    "cvat": ("b.xml", _CVAT),
    "coco": ("b.json", json.dumps(_COCO)),
    "mot": ("b.txt", "1,5,11,21,10,20,1,-1,-1,-1\n2,5,12,21,10,20\n"),
}


def samples() -> Iterator[Sample]:
    """Yield a sample of every kind of text, and of caches."""
    yield from _lists()
    yield from _boxes()
    yield _recipe()
    yield from _caches()
    yield _set_of_videos()


def _text(
    name: str, row: str, file: str, text: str, read: Callable, **kind
) -> Sample:
    return Sample(
        name=name,
        row=row,
        file=file,
        files={file: text.encode()},
        read=read,
        text=True,
        **kind,
    )


# === Lists ===


def _lists() -> Iterator[Sample]:
    for format, (file, text) in _LISTS.items():
        sample = _text(
            f"list: {format}",
            "lists",
            file,
            text,
            functools.partial(_read_list, format=format, file=file),
            sealed=file.endswith(("json", "xml")),
        )
        if format == "ucf101":
            rows = b"Archery/v_Archery_g01_c01.avi 1\n"
            sample.files["trainlist01.txt"] = rows
            sample.files["testlist01.txt"] = rows.replace(b"_c01", b"_c02")
        if format == "cvat":
            sample.files["v.mp4"] = _mp4(12)
        yield sample


def _read_list(folder: Path, format: str, file: str) -> Reading:
    whole_folder = format in ("ucf101", "hmdb51")
    known = {"tsv": "csv"}.get(format, format)
    path = folder if whole_folder else folder / file
    found = read_annotations(path, known, root=folder)
    rows = [(item.path, item.start, item.end) for item in found.items]
    return Reading(len(found), digest(rows, found.labels, found.classes))


def _boxes() -> Iterator[Sample]:
    for format, (file, text) in _BOXES.items():
        yield _text(
            f"boxes: {format}",
            "lists",
            file,
            text,
            functools.partial(_read_boxes, format=format, file=file),
            sealed=format != "mot",
        )


def _read_boxes(folder: Path, format: str, file: str) -> Reading:
    found = read_boxes(folder / file, format)
    tracks = [track for video in found for track in video.tracks]
    values = [(t.label, t.frames, t.boxes) for t in tracks]
    return Reading(sum(len(t.frames) for t in tracks), digest(values))


def _recipe() -> Sample:
    text = (_recipes._FOLDER / "finetune.toml").read_text("utf-8")
    return _text("recipe", "recipes, configs, rows", "r.toml", text, _read_toml)


def _read_toml(folder: Path) -> Reading:
    recipe = _recipes.load_recipe(folder / "r.toml")
    return Reading(1, digest(recipe.to_dict()))


# === Caches ===


CONTRACT = Contract.of(videos.SPEC)


@functools.cache
def _mp4(frames: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "v.mp4")
        videos.write_video(path, videos.pictures(frames), preset="ultrafast")
        return path.read_bytes()


@functools.cache
def cached() -> dict[str, bytes]:
    """Return the files of a data set of two videos, and of its cache."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for number in range(2):
            (folder / "videos").mkdir(exist_ok=True)
            data = _mp4(4 + number)
            (folder / f"videos/v{number}.mp4").write_bytes(data)
        extract(folder / "videos", folder / "cache", CONTRACT, workers=1)
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }


def _caches() -> Iterator[Sample]:
    files = cached()
    packed = "cache/v0.mp4.safetensors"
    head = int.from_bytes(files[packed][:8], "little") + 8
    for file in ("cache.json", "manifest.jsonl", "roots.json"):
        for name, read, kind in (
            ("read", _read_records, {"sealed": file == "cache.json"}),
            ("resumed", _resume, {"exact": file != "cache.json"}),
        ):
            yield Sample(
                f"cache: {file}, {name}",
                "caches, manifests",
                f"cache/{file}",
                dict(files),
                read,
                text=True,
                **kind,
            )
    for name, read, sealed in (
        ("read", _read_packed, True),
        ("examined", _examine, False),
    ):
        yield Sample(
            f"cache: packed, {name}",
            "caches, manifests",
            packed,
            dict(files),
            read,
            sealed=sealed,
        )
    yield Sample(
        "cache: packed header",
        "caches, manifests",
        packed,
        {**files, packed: files[packed][:head], "rest": files[packed][head:]},
        functools.partial(_read_packed, rest="rest"),
        sealed=True,
    )


def _read_records(folder: Path) -> Reading:
    cache = CacheFolder(folder / "cache")
    contract, entries = cache.contract(), cache.entries()
    values = {name: entry.sha256 for name, entry in entries.items()}
    made = None if contract is None else contract.to_json()
    return Reading(len(entries), digest(made, values, cache.roots()))


def _resume(folder: Path) -> Reading:
    """Extract again, into the damaged cache."""
    summary = extract(folder / "videos", folder / "cache", CONTRACT, workers=1)
    entries = CacheFolder(folder / "cache").entries()
    here = [entries[name].frames for name in ("v0.mp4", "v1.mp4")]
    packed = sorted((folder / "cache").rglob("*.safetensors"))
    contents = {path.name: path.read_bytes() for path in packed}
    return Reading(
        len(summary.done) + summary.present,
        digest(contents, here),
        ", ".join(summary.failed),
    )


def _read_packed(folder: Path, rest: str = "") -> Reading:
    path = folder / "cache/v0.mp4.safetensors"
    if rest:
        path.write_bytes(path.read_bytes() + (folder / rest).read_bytes())
    source = PackedSource(path, videos.SPEC)
    frames = source.read(np.arange(source.frames))
    fields = source.fields(np.array([[0, 1], [1, 2]]))
    return Reading(source.frames, digest(frames, fields))


def _examine(folder: Path) -> Reading:
    report = examine(folder / "cache")
    texts = sorted(str(finding.text) for finding in report.findings)
    return Reading(1, digest(texts), "" if report.healthy else "examined")


# === A set of videos of which one is bad ===


def _set_of_videos() -> Sample:
    files = {f"v{number}.mp4": _mp4(4 + number) for number in range(3)}
    return Sample(
        "set: one of three videos, extracted",
        "a bad file in a set",
        "v1.mp4",
        files,
        _extract_all,
    )


def _extract_all(folder: Path) -> Reading:
    names = sorted(path.name for path in folder.glob("v*.mp4"))
    summary = extract(folder, folder / "cache", CONTRACT, workers=1)
    done = {entry.source: entry.frames for entry in summary.done}
    failed = {Path(video).name for video in summary.failed}
    if sorted([*done, *failed]) != names or {"v0.mp4", "v2.mp4"} - set(done):
        raise AssertionError(f"done {done}, failed {summary.failed}")
    cut = {entry.source for entry in summary.done if entry.truncated}
    return Reading(sum(done.values()), digest(done), " ".join(failed | cut))
