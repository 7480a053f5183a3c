"""`detect`, `train --task tubes` and `evaluate --detections`."""

import dataclasses
import json
import shutil
from pathlib import Path

import av
import pytest
from click.testing import CliRunner
from tiny_detector import OPTIONS

import keras_twostream as kts
from keras_twostream import cli
from keras_twostream.cli import _console, _detect, _tubes_run
from keras_twostream.detection.drawing import draw_tubes
from keras_twostream.errors import SpecError


def run(*words, status=0):
    result = CliRunner().invoke(cli.group, [str(word) for word in words])
    assert result.exit_code == status, result.output
    return result


@pytest.fixture(scope="module")
def folder(_detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("detector") / "model"
    return kts.save_pretrained(_detector, folder, license="mit")


def test_detect_writes_json_and_a_video(folder, company, tmp_path):
    video = company[0].path
    words = ("--model", f"local:{folder}", "--threshold", -9, "--out", tmp_path)
    result = run("detect", video, *words, "--json", "--every-action")
    document = json.loads(result.stdout)
    (file,) = document["files"]
    tubes = json.loads((tmp_path / "train_000000.tubes.json").read_text())
    assert tubes["tubes"] == file["tubes"]
    assert {x["label"] for x in tubes["tubes"]} == {"bend", "jumping_jack"}
    first = tubes["tubes"][0]
    assert len(first["boxes"]) == len(first["frames"]) == file["frames"]
    with av.open(file["video"]) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == file["frames"]


def test_detect_writes_over_no_file_that_it_reads(folder, company, tmp_path):
    video = Path(shutil.copy(company[0].path, tmp_path / "a.mp4"))
    boxes = tmp_path / "a.tubes.json"
    boxes.write_text("boxes")
    words = ("--model", f"local:{folder}", "--out", tmp_path)
    result = run("detect", video, "--boxes", boxes, *words, status=2)
    assert "would be lost" in " ".join(result.stderr.split())
    assert boxes.read_text() == "boxes"
    before = video.read_bytes()
    with pytest.raises(SpecError, match="would be lost"):
        draw_tubes(video, [], tmp_path / "a.avi", ["a"])
    assert video.read_bytes() == before


def test_a_tube_is_placed_where_it_begins(capsys, monkeypatch):
    monkeypatch.setattr(_console, "out", _console._Console(width=200))
    boxes = [[1, 2, 3, 4], [5, 6, 7, 8]]
    tube = {"label": "sit_down", "confidence": 0.5, "start": 0, "end": 1}
    _detect.show({"source": "a.mp4", "tubes": [{**tube, "boxes": boxes}]})
    assert "(1, 2) to (3, 4) at first" in capsys.readouterr().out
    _detect.show({"source": "a.mp4", "tubes": [], "json": "a [x].tubes.json"})
    assert "a [x].tubes.json" in capsys.readouterr().out


def test_files_that_cannot_be_read_are_named(folder, company, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    words = ("--model", f"local:{folder}", "--out", tmp_path, "--no-video")
    result = run("detect", text, company[0].path, *words, "--json", status=1)
    document = json.loads(result.stdout)
    assert [x["source"] for x in document["failed"]] == [str(text)]
    assert len(document["files"]) == 1


def test_boxes_are_refused_by_a_detector_of_windows(folder, company, tmp_path):
    boxes = tmp_path / "a.txt"
    boxes.write_text("1,1,1,1,20,40\n")
    words = ("--model", f"local:{folder}", "--out", tmp_path)
    result = run("detect", company[0].path, *words, "--boxes", boxes, status=1)
    assert "trained on the proposals 'windows'" in result.stderr
    result = run(
        "detect", *[x.path for x in company], *words, "--boxes", boxes, status=2
    )
    assert "are those of one video, and 3 were given" in result.stderr


def test_a_detector_is_trained_and_measured(company, tmp_path):
    place, held = (tmp_path.parent / name for name in ("a.json", "b.json"))
    spec = OPTIONS["clip_spec"]
    regions = json.dumps(OPTIONS["regions"])
    rows = [_coco(video) for video in company]
    place.write_text(json.dumps(_joined(rows)))
    both = [row for row in rows if len({x.label for _, x in row}) == 2]
    held.write_text(json.dumps(_joined(both[:1])))
    result = run(
        *("train", "--task", "tubes", "--data", place, "--out", tmp_path),
        *("--recipe", "action_tubes_actors", "--batch-size", 16),
        *("--set", "steps=2", "--input", "frames=2", "--val", held),
        *("--option", f"width={OPTIONS['width']}"),
        *("--option", f"regions={regions}"),
        *("--spec", "crop=67,67", "--spec", "short_side=64"),
        *("--spec", f"flow_algorithm={spec['flow_algorithm']}", "--json"),
    )
    assert f"The model is in {tmp_path / 'model'}." in result.stderr
    assert "linked_frame_ap" in result.stderr and "AUC" in result.stderr
    held_out = json.loads(result.stdout)["held_out"]
    assert set(held_out["classes"]) == {"bend", "jumping_jack"}
    again = run("evaluate", tmp_path, "--data", held, "--detections", "--json")
    assert json.loads(again.stdout)["video_ap"] == held_out["video_ap"]
    card = (tmp_path / "model" / "README.md").read_text()
    assert "video-AP" in card
    result = run(
        *("train", "--task", "tubes", "--data", place, "--out", tmp_path),
        *("--epochs", 3),
        status=2,
    )
    assert "steps, not epochs: --set steps=2000" in result.stderr


def test_held_out_actions_that_are_not_trained_are_named_first(
    company, tmp_path
):
    place, held = tmp_path / "a.json", tmp_path / "b.json"
    place.write_text(json.dumps(_joined([_coco(x) for x in company])))
    unknown = [dataclasses.replace(x, label="fly") for x in company[0].tracks]
    held.write_text(json.dumps(_joined([[(company[0].path, unknown[0])]])))
    words = ("train", "--task", "tubes", "--data", place, "--val", held)
    result = run(*words, "--out", tmp_path / "run", status=2)
    assert "have tracks of fly, and the actions of" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_list_of_boxes_is_named_where_clips_are_asked_for(company, tmp_path):
    place = tmp_path / "a.json"
    place.write_text(json.dumps(_joined([_coco(x) for x in company])))
    result = run("train", "--data", place, "--out", tmp_path / "run", status=2)
    assert "it is a list of boxes" in result.stderr


@pytest.mark.parametrize("flag", [("--model", "i3d"), ("--balance",)])
def test_flags_of_clips_are_no_flags_of_tubes(flag, tmp_path):
    words = ("train", "--task", "tubes", "--data", ".", "--out", tmp_path)
    result = run(*words, *flag, status=2)
    assert f"{flag[0]} is of networks that see clips" in result.stderr


@pytest.mark.parametrize("flag", [("--crops", "10-crop"), ("--clips", "all")])
def test_flags_of_clips_do_not_measure_tubes(flag, tmp_path):
    words = ("evaluate", tmp_path, "--data", tmp_path, "--detections")
    result = run(*words, *flag, status=2)
    assert f"{flag[0]} is of networks that see clips" in result.stderr


def test_the_demo_of_tubes_takes_no_flow(tmp_path):
    words = ("demo", "--task", "tubes", "--flow", "tvl1", "--out", tmp_path)
    assert "--flow is of --task clips" in run(*words, status=2).stderr


@pytest.mark.full
def test_the_demo_finds_what_three_actors_do(tmp_path):
    words = ("demo", "--task", "tubes", "--seed", 1, "--out", tmp_path)
    document = json.loads(run(*words, "--json").stdout)
    assert (tmp_path / "actors_1.tubes.mp4").exists()
    tubes = sorted(document["tubes"], key=lambda x: x["boxes"][0][0])
    result = [x["label"] for x in tubes if x["label"] in document["truth"]]
    assert len(result) >= 2
    assert result == [x for x in document["truth"] if x in result]
    assert "actors_1" in document["source"]


def _coco(video):
    return [(video.path, track) for track in video.tracks]


def _joined(rows):
    """One COCO list of all tracks."""
    names = sorted({track.label for row in rows for _, track in row})
    images, boxes = {}, []
    for number, row in enumerate(rows):
        for who, (_, track) in enumerate(row):
            for frame, box in zip(track.frames, track.boxes, strict=True):
                x1, y1, x2, y2 = map(float, box)
                images[number, int(frame)] = number * 1000 + int(frame)
                boxes.append(
                    {
                        "image_id": number * 1000 + int(frame),
                        "category_id": names.index(track.label),
                        "track_id": 10 * number + who,
                        "bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
                    }
                )
    return {
        "videos": [{"id": i, "name": row[0][0]} for i, row in enumerate(rows)],
        "categories": [{"id": i, "name": name} for i, name in enumerate(names)],
        "images": [
            {"id": image, "video_id": video, "frame_index": frame}
            for (video, frame), image in images.items()
        ],
        "annotations": boxes,
    }


def test_what_is_held_out_is_not_what_was_trained_on():
    """A split's training part was read again where --val named the folder."""
    flags = {"data": "JHMDB", "split": 1, "subset": "train", "val": "test"}
    held_out = _tubes_run._held_out(flags)
    assert (held_out["data"], held_out["subset"]) == ("JHMDB", "test")
    held_out = _tubes_run._held_out({**flags, "val": "other.json"})
    assert (held_out["data"], held_out["split"]) == ("other.json", None)
    assert held_out["subset"] is None
